// What quantised tensors are made of: unpack, decode and take.
#include <fmt/format.h>

#include "runtime/bind/ops/computed_ops.h"

namespace ckmap {
namespace {

constexpr int64_t kMostBits = 8;

bool HoldsFields(DType dtype) { return IsInteger(dtype) || dtype == DType::kI4 || dtype == DType::kF4; }

}  // namespace

Result<Node> BindUnpack(Operands operands, const OpCall& call, std::string& text) {
  TensorValue& tensor = operands[0];
  CKMAP_ASSIGN_OR_RETURN(const int64_t bits, call.Int("bits", 0));
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, call.Int("axis", -1));
  CKMAP_ASSIGN_OR_RETURN(const int64_t fields, call.Int("fields", 0));
  CKMAP_ASSIGN_OR_RETURN(const bool is_signed, call.Bool("signed", false));
  const bool high = call.Text("order", "low") == "high";
  text = fmt::format("unpack(bits={}, axis={}{}{}{})", bits, axis_arg, high ? ", order=high" : "",
                     fields != 0 ? fmt::format(", fields={}", fields) : "", is_signed ? ", signed=true" : "");
  if (!HoldsFields(tensor.dtype)) {
    return Wrong(
        fmt::format("{} is {}: fields are unpacked from integers, i4 and f4; of other tensors say bitcast "
                    "first",
                    tensor.name, DTypeName(tensor.dtype)));
  }
  if (bits < 1 || bits > kMostBits) return Wrong(fmt::format("bits={}: fields have 1 to {} bits", bits, kMostBits));
  const Shape& shape = tensor.value.shape;
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, shape.size(), tensor));
  UnpackSpec spec;
  spec.bits = bits;
  spec.word_bits = 8 * DTypeSize(tensor.dtype);
  spec.high_first = high;
  spec.is_signed = is_signed;
  spec.fields = high && fields == 0 ? spec.word_bits / bits : fields;
  if (spec.fields < 0 || spec.fields * bits > spec.word_bits) {
    return Wrong(fmt::format("fields={}: an element of {} holds {} fields of {} bits", fields, DTypeName(tensor.dtype),
                             spec.word_bits / bits, bits));
  }
  int64_t row_bits = 0;
  if (__builtin_mul_overflow(shape[axis], spec.word_bits, &row_bits))
    return Wrong(fmt::format("{} is too large to be unpacked", tensor.name));
  spec.words = shape[axis];
  spec.codes = spec.fields == 0 ? row_bits / bits : shape[axis] * spec.fields;
  spec.inner = Product(shape, axis + 1, shape.size());
  Shape made = shape;
  made[axis] = spec.codes;
  NodeBuilder node(call, text);
  node.Add(std::move(tensor));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(spec, std::move(made), is_signed ? DType::kI8 : DType::kU8));
  return Node::Leaf(std::move(result));
}

Result<Node> BindDecode(Operands operands, const OpCall& call, std::string& text) {
  const std::string name = call.Text("format", "");
  text = fmt::format("decode({})", name);
  const DType dtype = operands[0].dtype;
  const bool codes = dtype == DType::kU8 || dtype == DType::kI8 || (IsFloat(dtype) && DTypeBits(dtype) == 8);
  if (!codes || dtype == DType::kF4) {
    return Wrong(fmt::format("{} is {}: codes have one byte each; say unpack(bits=…) first where a byte holds several",
                             operands[0].name, DTypeName(dtype)));
  }
  const auto format = ParseCodeFormat(name);
  if (!format) return Wrong(fmt::format("{} is not a format of codes", name));
  const bool other = IsFloat(dtype) && !(dtype == DType::kF8E8M0 && *format == CodeFormat::kE8M0) &&
                     !(dtype == DType::kF8E4M3 && *format == CodeFormat::kE4M3) &&
                     !(dtype == DType::kF8E5M2 && *format == CodeFormat::kE5M2);
  if (other) {
    return Wrong(fmt::format("{} is {}, whose elements are not codes of {}; say bitcast(u8) first if they are",
                             operands[0].name, DTypeName(dtype), name));
  }
  Shape shape = operands[0].value.shape;
  NodeBuilder node(call, text);
  node.Add(std::move(operands[0]));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(DecodeSpec{*format}, std::move(shape), DType::kF32));
  return Node::Leaf(std::move(result));
}

Result<Node> BindTake(Operands operands, const OpCall& call, std::string& text) {
  CKMAP_RETURN_IF_ERROR(CheckCount(operands, 2, 2, "the table and the indices"));
  const TensorValue &table = operands[0], &indices = operands[1];
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, call.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, table.value.shape.size(), table));
  text = fmt::format("take(axis={})", axis);
  if (!IsInteger(indices.dtype)) {
    return Wrong(fmt::format("{} is {}: indices are integers", indices.name, DTypeName(indices.dtype)));
  }
  if (DTypeBits(table.dtype) % 8 != 0)
    return Wrong(fmt::format("{} is {}, whose elements are not whole bytes", table.name, DTypeName(table.dtype)));
  TakeSpec spec;
  const Shape& shape = table.value.shape;
  spec.axis_size = shape[axis];
  spec.indices = Product(indices.value.shape, 0, indices.value.shape.size());
  spec.inner = Product(shape, axis + 1, shape.size());
  Shape made(shape.begin(), shape.begin() + static_cast<ptrdiff_t>(axis));
  made.insert(made.end(), indices.value.shape.begin(), indices.value.shape.end());
  made.insert(made.end(), shape.begin() + static_cast<ptrdiff_t>(axis) + 1, shape.end());
  const DType dtype = table.dtype;
  NodeBuilder node(call, text);
  for (TensorValue& operand : operands) node.Add(std::move(operand));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(spec, std::move(made), dtype));
  return Node::Leaf(std::move(result));
}

}  // namespace ckmap
