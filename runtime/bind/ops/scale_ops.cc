// dequantize, quantize, and the scales for it.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/bind/ops/computed_ops.h"

namespace ckmap {
namespace {

constexpr std::string_view kNames = "the weight, its scale and, if there is one, its zero point";

int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

// The sizes that `block` gives, one for each axis.
Result<Shape> GivenBlock(const Shape& shape, std::string_view what, const OpCall& call) {
  CKMAP_ASSIGN_OR_RETURN(Shape block, call.IntList("block"));
  if (block.size() != shape.size()) {
    return Wrong(fmt::format("block has {} sizes, and {} {} axes", block.size(), what, shape.size()));
  }
  for (size_t k = 0; k < block.size(); ++k) {
    if (block[k] == -1) block[k] = std::max<int64_t>(shape[k], 1);
    if (block[k] < 1) return Wrong(fmt::format("a block of size {}", block[k]));
  }
  return block;
}

// How many elements of the weight one scale serves along each axis. `scale` gets the shape that the
// blocks make of it.
Result<Shape> Blocks(const Shape& weight, TensorValue& scale, const OpCall& call) {
  const Shape given = scale.value.shape;
  const int64_t count = NumElements(given).value_or(0);
  Shape block = weight;
  if (call.Find("block") != nullptr) {
    CKMAP_ASSIGN_OR_RETURN(block, GivenBlock(weight, "the weight", call));
  } else if (call.Find("axis") != nullptr) {
    CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, call.Int("axis", 0));
    const auto rank = static_cast<int64_t>(weight.size());
    if (axis_arg < -rank || axis_arg >= rank) {
      return Wrong(fmt::format("axis {} is out of range: the weight has shape {}", axis_arg, FormatShape(weight)));
    }
    block[static_cast<size_t>(axis_arg < 0 ? axis_arg + rank : axis_arg)] = 1;
  } else if (count != 1) {
    for (size_t k = 0; given.size() == weight.size() && k < weight.size(); ++k) {
      if (given[k] == weight[k]) block[k] = 1;
    }
  }
  Shape expected;
  for (size_t k = 0; k < weight.size(); ++k) {
    block[k] = std::max<int64_t>(block[k], 1);
    expected.push_back(CeilDiv(weight[k], block[k]));
  }
  // A scale may leave out axes along which it does not vary.
  if (NumElements(expected) != count || (given.size() == expected.size() && given != expected && count != 1)) {
    return Wrong(
        fmt::format("a weight of shape {} in blocks of {} has scales of shape {}; {} has {}{}", FormatShape(weight),
                    FormatShape(block), FormatShape(expected), scale.name, FormatShape(given),
                    call.Find("block") == nullptr && call.Find("axis") == nullptr ? "; say block= or axis=" : ""));
  }
  CKMAP_ASSIGN_OR_RETURN(scale, Reshaped(std::move(scale), expected));
  return block;
}

Result<Node> Scale(Operands operands, const OpCall& call, ScaleSpec spec, const std::string& text) {
  TensorValue& weight = operands[0];
  Shape shape = weight.value.shape;
  if (spec.pack > 1) {
    if (shape.empty()) return Wrong(fmt::format("{} is a scalar, and cannot hold several integers", weight.name));
    if (__builtin_mul_overflow(shape.back(), spec.pack, &shape.back())) {
      return Wrong(fmt::format("{} is too large to be unpacked", weight.name));
    }
  }
  if (!Holds(DTypes::kFloats, operands[1].dtype)) {
    return Wrong(fmt::format("the scale {} is {}: scales are {}", operands[1].name, DTypeName(operands[1].dtype),
                             Describe(DTypes::kFloats)));
  }
  CKMAP_ASSIGN_OR_RETURN(spec.block, Blocks(shape, operands[1], call));
  if (operands.size() == 3) {
    if (!Holds(DTypes::kNumbers, operands[2].dtype)) {
      return Wrong(fmt::format("the zero point {} is {}: zero points are {}", operands[2].name,
                               DTypeName(operands[2].dtype), Describe(DTypes::kNumbers)));
    }
    const TensorValue& zero = operands[2];
    const std::string given = FormatShape(zero.value.shape);
    CKMAP_ASSIGN_OR_RETURN(const Shape block, Blocks(shape, operands[2], call));
    if (block != spec.block) {
      return Wrong(fmt::format("{} has shape {}, and {} blocks of {}: a scale and its zero point serve the same blocks",
                               zero.name, given, operands[1].name, FormatShape(spec.block)));
    }
  }
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(DType::kF32));
  const bool saturates = spec.quantize;
  for (TensorValue& operand : operands) node.Add(std::move(operand));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result,
                         node.Build(std::move(spec), std::move(shape), dtype, saturates ? "saturate" : "error"));
  return Node::Leaf(std::move(result));
}

std::string TextOf(const OpCall& call) {
  std::string text = fmt::format("{}(to={}", call.name(), call.Text("to", ""));
  for (const char* name : {"block", "axis"}) {
    const auto values = call.IntList(name);
    if (!values || values->empty()) continue;
    text += values->size() == 1 ? fmt::format(", {}={}", name, values->front())
                                : fmt::format(", {}=[{}]", name, fmt::join(*values, ", "));
  }
  if (const auto bits = call.Int("bits", 0); bits && *bits != 0) text += fmt::format(", bits={}", *bits);
  if (const auto reciprocal = call.Real("reciprocal", 0); reciprocal && *reciprocal != 0)
    text += fmt::format(", reciprocal={}", *reciprocal);
  return text + ")";
}

// The dtype in which frameworks compute with two floats. Those of 8 bits are widened first.
DType Promoted(DType a, DType b) {
  if (a == DType::kF64 || b == DType::kF64) return DType::kF64;
  return a == b && (a == DType::kBF16 || a == DType::kF16) ? a : DType::kF32;
}

// How quantize rounds.
Result<void> ReadRounding(const Operands& operands, const OpCall& call, ScaleSpec& spec) {
  CKMAP_ASSIGN_OR_RETURN(spec.reciprocal, call.Real("reciprocal", 0));
  if (call.Find("reciprocal") != nullptr && !(spec.reciprocal > 0)) {
    return Wrong(fmt::format("reciprocal is {}, and must be above 0", spec.reciprocal));
  }
  spec.via = Promoted(operands[0].dtype, operands[1].dtype);
  return {};
}

// The distance from 1 to the next number of a float dtype; 0: it is not one.
double Epsilon(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return 0x1p-52;
    case DType::kF32:
      return 0x1p-23;
    case DType::kF16:
      return 0x1p-10;
    case DType::kBF16:
      return 0x1p-7;
    default:
      return 0;
  }
}

}  // namespace

Result<Node> BindDequantize(Operands operands, const OpCall& call, std::string& text) {
  text = TextOf(call);
  CKMAP_RETURN_IF_ERROR(CheckCount(operands, 2, 3, kNames));
  ScaleSpec spec;
  const DType dtype = operands[0].dtype;
  CKMAP_ASSIGN_OR_RETURN(const int64_t bits, call.Int("bits", dtype == DType::kI4 ? 4 : 0));
  const bool holds_four =
      dtype == DType::kI4 || dtype == DType::kI8 || dtype == DType::kU8 || dtype == DType::kI32 || dtype == DType::kU32;
  if (bits != 0 && (bits != 4 || !holds_four)) {
    return Wrong(
        fmt::format("bits={} of {}: integers of 4 bits are packed in i4, u8, i8, u32 or i32", bits, DTypeName(dtype)));
  }
  if (bits == 4) {
    spec.pack = dtype == DType::kI32 || dtype == DType::kU32 ? 8 : 2;
    spec.pack_signed = dtype == DType::kI4 || dtype == DType::kI8;
  } else if (!Holds(DTypes::kNumbers, dtype)) {
    return Wrong(
        fmt::format("{} is {}: {} are dequantized; the codes of a packed tensor are what unpack and decode give",
                    operands[0].name, DTypeName(dtype), Describe(DTypes::kNumbers)));
  }
  return Scale(std::move(operands), call, std::move(spec), text);
}

Result<Node> BindQuantize(Operands operands, const OpCall& call, std::string& text) {
  text = TextOf(call);
  CKMAP_RETURN_IF_ERROR(CheckCount(operands, 2, 3, kNames));
  if (!Holds(DTypes::kFloats, operands[0].dtype)) {
    return Wrong(fmt::format("{} is {}: only floats are quantized", operands[0].name, DTypeName(operands[0].dtype)));
  }
  const auto to = ParseDType(call.Text("to", ""));
  if (!to || !(IsInteger(*to) || (IsFloat(*to) && DTypeBits(*to) == 8 && *to != DType::kF4 && *to != DType::kF8E8M0))) {
    return Wrong(fmt::format("to={}: what is quantized becomes integers or floats of 8 bits", call.Text("to", "")));
  }
  ScaleSpec spec;
  spec.quantize = true;
  CKMAP_RETURN_IF_ERROR(ReadRounding(operands, call, spec));
  return Scale(std::move(operands), call, std::move(spec), text);
}

Result<Node> BindAbsmax(Operands operands, const OpCall& call, std::string& text) {
  TensorValue& tensor = operands[0];
  AbsmaxSpec spec;
  CKMAP_ASSIGN_OR_RETURN(spec.over, call.Real("over", 1));
  CKMAP_ASSIGN_OR_RETURN(spec.least, call.Real("least", 0));
  const bool epsilon = call.Text("zeros", "keep") == "epsilon";
  CKMAP_ASSIGN_OR_RETURN(const std::vector<int64_t> given, call.IntList("block"));
  text = fmt::format("absmax(block=[{}]{}{}{})", fmt::join(given, ", "),
                     spec.over == 1 ? "" : fmt::format(", over={}", spec.over),
                     spec.least == 0 ? "" : fmt::format(", least={}", spec.least), epsilon ? ", zeros=epsilon" : "");
  if (!Holds(DTypes::kFloats, tensor.dtype)) {
    return Wrong(
        fmt::format("{} is {}, and absmax takes {}", tensor.name, DTypeName(tensor.dtype), Describe(DTypes::kFloats)));
  }
  if (!(spec.over > 0) || !(spec.least >= 0)) return Wrong("`over` must be above 0, and `least` not below 0");
  const Shape shape = tensor.value.shape;
  CKMAP_ASSIGN_OR_RETURN(spec.block, GivenBlock(shape, tensor.name + " has", call));
  Shape made;
  for (size_t k = 0; k < shape.size(); ++k) made.push_back(CeilDiv(shape[k], spec.block[k]));
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(tensor.dtype));
  if (epsilon) spec.zero = Epsilon(dtype);
  if (epsilon && spec.zero == 0)
    return Wrong(fmt::format("zeros=epsilon: scales are f64, f32, bf16 or f16, and not {}", DTypeName(dtype)));
  node.Add(std::move(tensor));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(std::move(spec), std::move(made), dtype));
  return Node::Leaf(std::move(result));
}

}  // namespace ckmap
