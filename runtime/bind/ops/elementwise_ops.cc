// Elementwise operations: they lengthen the chains of the inputs, and leave the pieces alone. Only a bitcast to
// another size counts them anew.
#include "runtime/bind/ops/elementwise_ops.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/bind/ops/computed_ops.h"
#include "runtime/bind/ops/op_call.h"
#include "runtime/bind/values/fill.h"

namespace ckmap {
namespace {

using Kind = ElementOp::Kind;

Overflow OverflowOf(const OpCall& call) {
  const std::string overflow = call.Text("overflow", "error");
  return overflow == "saturate" ? Overflow::kSaturate : overflow == "inf" ? Overflow::kInf : Overflow::kError;
}

bool CanCast(DType from, DType to) { return Holds(DTypes::kNumbersBool, from) && Holds(DTypes::kNumbersBool, to); }

// One more step for every element, the padding's too.
Result<TensorValue> Append(const ElementOp& op, TensorValue tensor) {
  CKMAP_RETURN_IF_ERROR(ApplyToFill(op, tensor));
  for (BoundInput& input : tensor.inputs) input.casts.push_back(op);
  tensor.dtype = op.to;
  return tensor;
}

Result<TensorValue> OpCast(TensorValue tensor, const OpCall& call, std::string& text) {
  const std::string to_name = call.Text("to", "");
  const auto to = ParseDType(to_name);
  if (!to || *to == DType::kAny) return Wrong(fmt::format("`{}` is not a dtype", to_name));
  text = fmt::format("cast({})", to_name);
  if (*to == tensor.dtype) return tensor;
  if (!CanCast(tensor.dtype, *to)) {
    return Wrong(fmt::format("{} is {}, which cannot be cast to {}", tensor.name, DTypeName(tensor.dtype), to_name));
  }
  return Append({tensor.dtype, *to, OverflowOf(call)}, std::move(tensor));
}

// Why arithmetic with this number is not done; "" if it is.
std::string Objection(const ElementOp& op, DType dtype) {
  const bool scale = op.kind == Kind::kScale;
  const int64_t* integer = std::get_if<int64_t>(&op.operand);
  const double* real = std::get_if<double>(&op.operand);
  if (real != nullptr && !std::isfinite(*real)) return "the number is not finite";
  if (scale && IsZero(op.operand)) return "a factor of 0 keeps nothing of the tensor: use init … = zeros";
  if (!IsInteger(dtype)) {
    if (ExactDouble(op.operand)) return "";
    return "floats are computed with in f64, which would round the number";
  }
  if (op.overflow == Overflow::kInf) return "integers have no infinity: overflow is error or saturate";
  if (integer != nullptr) return "";
  if (MayBeRounded(op.operand)) return std::string(kWriteAllDigits);
  const bool whole = *real == std::floor(*real);
  const bool part = scale && IsExactFactor(op.operand) && std::fabs(*real) >= 0x1p-62;
  if (whole || (part && op.overflow == Overflow::kError)) return "";
  return part ? "a division of integers is exact or an error: leave overflow out"
              : fmt::format("integers take whole numbers{}; cast to a float first",
                            scale ? " and 1 / 2, 1 / 4, 1 / 8, …" : "");
}

Result<TensorValue> OpArithmetic(TensorValue tensor, const OpCall& call, std::string& text) {
  ElementOp op{tensor.dtype, tensor.dtype, OverflowOf(call), call.name() == "scale" ? Kind::kScale : Kind::kAdd};
  CKMAP_ASSIGN_OR_RETURN(const Number operand,
                         call.NumberAsWritten(op.kind == Kind::kScale ? "factor" : "term", int64_t{0}));
  op.operand = Canonical(operand);
  text = FormatOp(op);
  const std::string objection = Objection(op, tensor.dtype);
  if (!objection.empty())
    return Wrong(fmt::format("{} of {} ({}): {}", text, tensor.name, DTypeName(tensor.dtype), objection));
  return Append(op, std::move(tensor));
}

Result<TensorValue> OpNegate(TensorValue tensor, const OpCall& /*call*/, std::string& text) {
  text = "neg()";
  return Append({tensor.dtype, tensor.dtype, Overflow::kError, Kind::kNegate}, std::move(tensor));
}

Result<TensorValue> OpByteswap(TensorValue tensor, const OpCall& /*call*/, std::string& text) {
  text = "byteswap()";
  return Append({tensor.dtype, tensor.dtype, Overflow::kError, Kind::kByteswap}, std::move(tensor));
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

// The pieces where each element is `parts` smaller ones.
std::vector<Piece> CountSmaller(std::vector<Piece> pieces, int64_t parts) {
  for (Piece& piece : pieces) {
    piece.src_offset *= parts;
    piece.dst_offset *= parts;
    for (PieceAxis& axis : piece.axes) {
      axis.src_stride *= parts;
      axis.dst_stride *= parts;
    }
    piece.axes.push_back({parts, 1, 1});
  }
  return pieces;
}

// The pieces where `parts` neighbours are one element. nullopt where they are not neighbours on both sides, or do not
// begin at a multiple of `parts` there.
std::optional<std::vector<Piece>> CountLarger(PieceValue value, int64_t parts) {
  Normalize(value);
  for (Piece& piece : value.pieces) {
    if (piece.axes.empty() || piece.src_offset % parts != 0 || piece.dst_offset % parts != 0) return std::nullopt;
    PieceAxis& run = piece.axes.back();
    if (run.src_stride != 1 || run.dst_stride != 1 || run.size % parts != 0) return std::nullopt;
    run.size /= parts;
    piece.src_offset /= parts;
    piece.dst_offset /= parts;
    for (size_t i = 0; i + 1 < piece.axes.size(); ++i) {
      if (piece.axes[i].src_stride % parts != 0 || piece.axes[i].dst_stride % parts != 0) return std::nullopt;
      piece.axes[i].src_stride /= parts;
      piece.axes[i].dst_stride /= parts;
    }
  }
  return std::move(value.pieces);
}

// Whether all elements are still those of the files, so that they can be read in other units. (A same-size bitcast
// changes no bit.)
bool IsUntouched(const TensorValue& tensor) {
  return tensor.fill.empty() && std::all_of(tensor.inputs.begin(), tensor.inputs.end(), [](const BoundInput& input) {
           return input.node == nullptr && input.view == DType::kAny &&
                  std::all_of(input.casts.begin(), input.casts.end(),
                              [](const ElementOp& op) { return op.kind == Kind::kBitcast; });
         });
}

// The bytes of the files as elements of another size, where they are. False if that is not possible.
bool ViewFiles(TensorValue& tensor, DType to, Shape shape) {
  if (!IsUntouched(tensor)) return false;
  const int64_t from_size = DTypeSize(tensor.dtype), to_size = DTypeSize(to);
  if (to_size < from_size) {
    tensor.value.pieces = CountSmaller(std::move(tensor.value.pieces), from_size / to_size);
  } else {
    auto pieces = CountLarger(tensor.value, to_size / from_size);
    if (!pieces) return false;
    tensor.value.pieces = *std::move(pieces);
  }
  tensor.value.shape = std::move(shape);
  tensor.dtype = to;
  for (BoundInput& input : tensor.inputs) {
    input.casts.clear();
    input.view = to;
  }
  return true;
}

// The shape after a bitcast to another size.
Result<Shape> BitcastShape(const TensorValue& tensor, DType to) {
  const int64_t from_size = DTypeSize(tensor.dtype), to_size = DTypeSize(to);
  Shape shape = tensor.value.shape;
  if (shape.empty()) {
    return Wrong(fmt::format(
        "{} has no axis whose size a bitcast from {} to {} could change: give it one with unsqueeze(axis=0)",
        tensor.name, DTypeName(tensor.dtype), DTypeName(to)));
  }
  if (to_size < from_size) {
    if (__builtin_mul_overflow(shape.back(), from_size / to_size, &shape.back()))
      return Wrong(fmt::format("{} is too large for a bitcast", tensor.name));
  } else {
    if (shape.back() % (to_size / from_size) != 0) {
      return Wrong(fmt::format(
          "the last axis of {} (shape {}) is not made of whole runs of {} neighbours, as a bitcast from {} to {} needs",
          tensor.name, FormatShape(shape), to_size / from_size, DTypeName(tensor.dtype), DTypeName(to)));
    }
    shape.back() /= to_size / from_size;
  }
  CKMAP_RETURN_IF_ERROR(CheckSize(shape, to, tensor.name));
  return shape;
}

}  // namespace

bool IsExactFactor(const Number& factor) {
  const auto real = ExactDouble(factor);
  int exponent = 0;
  return real && std::isfinite(*real) && std::fabs(std::frexp(*real, &exponent)) == 0.5;
}

Result<TensorValue> Bitcast(TensorValue tensor, DType to) {
  if (!Holds(DTypes::kWholeBytes, to) || !Holds(DTypes::kWholeBytes, tensor.dtype)) {
    return Wrong(fmt::format("bitcast from {} to {}: both must be {}", DTypeName(tensor.dtype), DTypeName(to),
                             Describe(DTypes::kWholeBytes)));
  }
  if (to == tensor.dtype) return tensor;
  const int64_t from_size = DTypeSize(tensor.dtype), to_size = DTypeSize(to);
  if (from_size == to_size) {
    return Append({tensor.dtype, to, Overflow::kError, Kind::kBitcast}, std::move(tensor));
  }
  CKMAP_ASSIGN_OR_RETURN(Shape shape, BitcastShape(tensor, to));
  if (ViewFiles(tensor, to, shape)) return tensor;
  // Whatever else it is made of: its bytes, one after another.
  std::string name = tensor.name;
  CKMAP_ASSIGN_OR_RETURN(tensor, ComputedTensor({.text = fmt::format("bitcast({})", DTypeName(to)),
                                                 .spec = BitcastSpec{},
                                                 .operands = {std::move(tensor)},
                                                 .names = {name},
                                                 .shape = std::move(shape),
                                                 .dtype = to}));
  tensor.name = std::move(name);
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
