// Elementwise operations: they lengthen the chains of the inputs, and leave the pieces alone. Only a bitcast to
// another size counts them anew.
#include "runtime/bind/ops/elementwise_ops.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/bind/values/fill.h"
#include "runtime/bind/ops/op_call.h"
#include "runtime/tensor/scalar_bytes.h"

namespace ckmap {
namespace {

using Kind = ElementOp::Kind;

Overflow OverflowOf(const OpCall& call) {
  const std::string overflow = call.Text("overflow", "error");
  return overflow == "saturate" ? Overflow::kSaturate : overflow == "inf" ? Overflow::kInf : Overflow::kError;
}

bool CanCast(DType from, DType to) { return Holds(DTypes::kNumbersBool, from) && Holds(DTypes::kNumbersBool, to); }

Result<TensorValue> OpCast(TensorValue tensor, const OpCall& call, std::string& text) {
  const std::string to_name = call.Text("to", "");
  const auto to = ParseDType(to_name);
  if (!to || *to == DType::kAny) return Wrong(fmt::format("`{}` is not a dtype", to_name));
  text = fmt::format("cast({})", to_name);
  if (*to == tensor.dtype) return tensor;
  if (!CanCast(tensor.dtype, *to)) {
    return Wrong(fmt::format("{} is {}, which cannot be cast to {}", tensor.name,
                             DTypeName(tensor.dtype), to_name));
  }
  CKMAP_RETURN_IF_ERROR(CastFill(tensor.fill, tensor.dtype, *to));
  for (BoundInput& input : tensor.inputs) input.casts.push_back({tensor.dtype, *to, OverflowOf(call)});
  tensor.dtype = *to;
  return tensor;
}

// The padding passes the same arithmetic.
Result<void> ComputeFill(const ElementOp& op, TensorValue& tensor) {
  if (tensor.fill.empty()) return {};
  auto number = ScalarValue(tensor.fill, tensor.dtype);
  if (number) number = op.kind == Kind::kScale ? *number * op.operand : op.kind == Kind::kAdd ? *number + op.operand : -*number;
  const auto bytes = number ? ScalarBytes(*number, tensor.dtype) : std::nullopt;
  if (!bytes) return Wrong(fmt::format("{} cannot hold what becomes of the padding of {}", DTypeName(tensor.dtype), tensor.name));
  tensor.fill = *bytes;
  return {};
}

Result<TensorValue> Compute(TensorValue tensor, ElementOp op) {
  op.from = op.to = tensor.dtype;
  CKMAP_RETURN_IF_ERROR(ComputeFill(op, tensor));
  for (BoundInput& input : tensor.inputs) input.casts.push_back(op);
  return tensor;
}

// Why arithmetic with this number is not done; "" if it is.
std::string Objection(const ElementOp& op, DType dtype) {
  const bool scale = op.kind == Kind::kScale;
  if (!std::isfinite(op.operand)) return "the number is not finite";
  if (scale && op.operand == 0) return "a factor of 0 keeps nothing of the tensor: use init … = zeros";
  if (!IsInteger(dtype)) return "";
  if (op.overflow == Overflow::kInf) return "integers have no infinity: overflow is error or saturate";
  const bool whole = std::fabs(op.operand) <= 0x1p53 && op.operand == std::floor(op.operand);
  const bool part = scale && IsExactFactor(op.operand) && std::fabs(op.operand) >= 0x1p-62;
  if (whole || (part && op.overflow == Overflow::kError)) return "";
  return part ? "a division of integers is exact or an error: leave overflow out"
              : fmt::format("integers take whole numbers{}; cast to a float first", scale ? " and 1 / 2, 1 / 4, 1 / 8, …" : "");
}

Result<TensorValue> OpArithmetic(TensorValue tensor, const OpCall& call, std::string& text) {
  ElementOp op;
  op.kind = call.name() == "scale" ? Kind::kScale : Kind::kAdd;
  op.overflow = OverflowOf(call);
  CKMAP_ASSIGN_OR_RETURN(op.operand, call.Number(op.kind == Kind::kScale ? "factor" : "term", 0));
  text = fmt::format("{}({})", call.name(), op.operand);
  const std::string objection = Objection(op, tensor.dtype);
  if (!objection.empty()) return Wrong(fmt::format("{} of {} ({}): {}", text, tensor.name, DTypeName(tensor.dtype), objection));
  return Compute(std::move(tensor), op);
}

Result<TensorValue> OpNegate(TensorValue tensor, const OpCall& /*call*/, std::string& text) {
  text = "neg()";
  ElementOp op;
  op.kind = Kind::kNegate;
  return Compute(std::move(tensor), op);
}

Result<TensorValue> OpByteswap(TensorValue tensor, const OpCall& /*call*/, std::string& text) {
  text = "byteswap()";
  std::reverse(tensor.fill.begin(), tensor.fill.end());
  for (BoundInput& input : tensor.inputs) input.casts.push_back({tensor.dtype, tensor.dtype, Overflow::kError, Kind::kByteswap, 0});
  return tensor;
}

Result<TensorValue> OpBitcast(TensorValue tensor, const OpCall& call, std::string& text) {
  const auto to = ParseDType(call.Text("to", ""));
  const std::string from = call.Text("from", "");
  if (!to || *to == DType::kAny) return Wrong(fmt::format("`{}` is not a dtype", call.Text("to", "")));
  text = fmt::format("bitcast({})", DTypeName(*to));
  if (!from.empty() && from != DTypeName(tensor.dtype)) {
    return Wrong(fmt::format("{} is {}, not {}", tensor.name, DTypeName(tensor.dtype), from));
  }
  return Bitcast(std::move(tensor), *to);
}

// ---- bitcast to another size -------------------------------------------------------------------

// Each element becomes `parts` smaller ones.
void CountSmaller(PieceValue& value, int64_t parts) {
  for (Piece& piece : value.pieces) {
    piece.src_offset *= parts;
    piece.dst_offset *= parts;
    for (PieceAxis& axis : piece.axes) {
      axis.src_stride *= parts;
      axis.dst_stride *= parts;
    }
    piece.axes.push_back({parts, 1, 1});
  }
  value.shape.back() *= parts;
}

// `parts` neighbours become one element. False where they are not neighbours on both sides.
bool CountLarger(PieceValue& value, int64_t parts) {
  if (value.shape.back() % parts != 0) return false;
  Normalize(value);
  for (Piece& piece : value.pieces) {
    if (piece.axes.empty()) return false;
    PieceAxis& run = piece.axes.back();
    if (run.src_stride != 1 || run.dst_stride != 1 || run.size % parts != 0) return false;
    run.size /= parts;
    if (piece.src_offset % parts != 0 || piece.dst_offset % parts != 0) return false;
    piece.src_offset /= parts;
    piece.dst_offset /= parts;
    for (size_t i = 0; i + 1 < piece.axes.size(); ++i) {
      if (piece.axes[i].src_stride % parts != 0 || piece.axes[i].dst_stride % parts != 0) return false;
      piece.axes[i].src_stride /= parts;
      piece.axes[i].dst_stride /= parts;
    }
  }
  value.shape.back() /= parts;
  return true;
}

// An input whose elements are still those of the file can be read in other units. Same-size bitcasts in front of that
// are forgotten: they changed no bit.
Result<void> ViewInput(BoundInput& input, DType dtype, DType to, const std::string& name) {
  const bool renamed = std::all_of(input.casts.begin(), input.casts.end(), [](const ElementOp& op) { return op.kind == Kind::kBitcast; });
  if (!renamed || input.node != nullptr || input.view != DType::kAny) {
    return Wrong(fmt::format("{} was computed or bitcast before: a bitcast from {} to {}, of another size, comes first", name,
                             DTypeName(dtype), DTypeName(to)));
  }
  input.casts.clear();
  input.view = to;
  return {};
}

}  // namespace

bool IsExactFactor(double factor) {
  int exponent = 0;
  return std::isfinite(factor) && std::fabs(std::frexp(factor, &exponent)) == 0.5;
}

Result<TensorValue> Bitcast(TensorValue tensor, DType to) {
  if (!Holds(DTypes::kWholeBytes, to) || !Holds(DTypes::kWholeBytes, tensor.dtype)) {
    return Wrong(fmt::format("bitcast from {} to {}: both must be {}", DTypeName(tensor.dtype), DTypeName(to), Describe(DTypes::kWholeBytes)));
  }
  if (to == tensor.dtype) return tensor;
  const int64_t from_size = DTypeSize(tensor.dtype), to_size = DTypeSize(to);
  if (from_size == to_size) {
    for (BoundInput& input : tensor.inputs) input.casts.push_back({tensor.dtype, to, Overflow::kError, Kind::kBitcast, 0});
    tensor.dtype = to;
    return tensor;
  }
  if (tensor.value.shape.empty()) return Wrong(fmt::format("{} has no axis whose size a bitcast to {} could change", tensor.name, DTypeName(to)));
  if (!tensor.fill.empty()) return Wrong(fmt::format("{} is padded: bitcast it before that", tensor.name));
  for (BoundInput& input : tensor.inputs) CKMAP_RETURN_IF_ERROR(ViewInput(input, tensor.dtype, to, tensor.name));
  if (to_size < from_size) {
    CountSmaller(tensor.value, from_size / to_size);
  } else if (!CountLarger(tensor.value, to_size / from_size)) {
    return Wrong(fmt::format("the last axis of {} (shape {}) is not made of whole runs of {} neighbours", tensor.name,
                             FormatShape(tensor.value.shape), to_size / from_size));
  }
  tensor.dtype = to;
  return tensor;
}

MapFunction FindElementwiseMap(std::string_view name) {
  if (name == "cast") return OpCast;
  if (name == "scale" || name == "add") return OpArithmetic;
  if (name == "neg") return OpNegate;
  if (name == "bitcast") return OpBitcast;
  if (name == "byteswap") return OpByteswap;
  return nullptr;
}

}  // namespace ckmap
