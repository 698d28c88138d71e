// What quantised tensors are made of: unpack, pack, decode, take and constant.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/bind/ops/computed_ops.h"
#include "runtime/ops/element_op.h"

namespace ckmap {
namespace {

constexpr int64_t kMostBits = 8;
constexpr size_t kMostConstants = 4096;

bool HoldsFields(DType dtype) { return IsInteger(dtype) || dtype == DType::kI4 || dtype == DType::kF4; }

}  // namespace

namespace {

// The arguments that unpack and pack share, of words of a dtype. `text` gets them as they are bound.
Result<FieldLayout> ReadLayout(const OpCall& call, DType words, std::string& text) {
  FieldLayout layout;
  CKMAP_ASSIGN_OR_RETURN(layout.bits, call.Int("bits", 0));
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis, call.Int("axis", -1));
  CKMAP_ASSIGN_OR_RETURN(const int64_t fields, call.Int("fields", 0));
  CKMAP_ASSIGN_OR_RETURN(layout.is_signed, call.Bool("signed", false));
  layout.high_first = call.Text("order", "low") == "high";
  text = fmt::format("bits={}, axis={}{}{}{}", layout.bits, axis, layout.high_first ? ", order=high" : "",
                     fields != 0 ? fmt::format(", fields={}", fields) : "", layout.is_signed ? ", signed=true" : "");
  if (layout.bits < 1 || layout.bits > kMostBits)
    return Wrong(fmt::format("bits={}: fields have 1 to {} bits", layout.bits, kMostBits));
  layout.word_bits = 8 * DTypeSize(words);
  const int64_t most = layout.word_bits / layout.bits;
  layout.fields = layout.high_first && fields == 0 ? most : fields;
  if (layout.fields < 0 || layout.fields > most) {
    return Wrong(fmt::format("fields={}: an element of {} holds {} fields of {} bits", fields, DTypeName(words), most,
                             layout.bits));
  }
  return layout;
}

}  // namespace

Result<Node> BindUnpack(Operands operands, const OpCall& call, std::string& text) {
  TensorValue& tensor = operands[0];
  UnpackSpec spec;
  std::string arguments;
  Result<FieldLayout> layout = ReadLayout(call, tensor.dtype, arguments);
  text = fmt::format("unpack({})", arguments);
  if (!HoldsFields(tensor.dtype)) {
    return Wrong(
        fmt::format("{} is {}: fields are unpacked from integers, i4 and f4; of other tensors say bitcast "
                    "first",
                    tensor.name, DTypeName(tensor.dtype)));
  }
  if (!layout) return std::move(layout).error();
  static_cast<FieldLayout&>(spec) = *layout;
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, call.Int("axis", -1));
  const Shape& shape = tensor.value.shape;
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, shape.size(), tensor));
  int64_t row_bits = 0;
  if (__builtin_mul_overflow(shape[axis], spec.word_bits, &row_bits))
    return Wrong(fmt::format("{} is too large to be unpacked", tensor.name));
  spec.words = shape[axis];
  spec.codes = spec.fields == 0 ? row_bits / spec.bits : shape[axis] * spec.fields;
  spec.inner = Product(shape, axis + 1, shape.size());
  Shape made = shape;
  made[axis] = spec.codes;
  NodeBuilder node(call, text);
  node.Add(std::move(tensor));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result,
                         node.Build(spec, std::move(made), spec.is_signed ? DType::kI8 : DType::kU8));
  return Node::Leaf(std::move(result));
}

Result<Node> BindPack(Operands operands, const OpCall& call, std::string& text) {
  TensorValue& tensor = operands[0];
  const DType to = ParseDType(call.Text("to", "")).value_or(DType::kAny);
  PackSpec spec;
  std::string arguments;
  Result<FieldLayout> layout = ReadLayout(call, IsInteger(to) ? to : DType::kU8, arguments);
  text = fmt::format("pack({}, to={})", arguments, call.Text("to", ""));
  if (!IsInteger(to)) return Wrong(fmt::format("to={}: numbers are packed into integers", call.Text("to", "")));
  if (!layout) return std::move(layout).error();
  static_cast<FieldLayout&>(spec) = *layout;
  if (!IsInteger(tensor.dtype))
    return Wrong(fmt::format("{} is {}: integers are packed", tensor.name, DTypeName(tensor.dtype)));
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, call.Int("axis", -1));
  Shape shape = tensor.value.shape;
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, shape.size(), tensor));
  int64_t row_bits = 0;
  if (__builtin_mul_overflow(shape[axis], spec.bits, &row_bits) ||
      __builtin_add_overflow(row_bits, spec.word_bits - 1, &row_bits))
    return Wrong(fmt::format("{} is too large to be packed", tensor.name));
  spec.codes = shape[axis];
  spec.words =
      spec.fields == 0 ? row_bits / spec.word_bits : spec.codes / spec.fields + (spec.codes % spec.fields != 0 ? 1 : 0);
  spec.inner = Product(shape, axis + 1, shape.size());
  shape[axis] = spec.words;
  NodeBuilder node(call, text);
  node.Add(std::move(tensor));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(spec, std::move(shape), to));
  return Node::Leaf(std::move(result));
}

Result<Node> BindConstant(Operands /*operands*/, const OpCall& call, std::string& text) {
  ConstantSpec spec;
  CKMAP_ASSIGN_OR_RETURN(spec.values, call.IntList("values"));
  text = fmt::format("constant([{}], to={})", fmt::join(spec.values, ", "), call.Text("to", ""));
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(DType::kI64));
  if (spec.values.size() > kMostConstants)
    return Wrong(fmt::format("a list of {} numbers: {} is the limit", spec.values.size(), kMostConstants));
  for (const int64_t value : spec.values) {
    if (dtype != DType::kI64 &&
        CastElement({DType::kI64, dtype, Overflow::kError}, static_cast<uint64_t>(value)).changed)
      return Wrong(fmt::format("{} has no number {}", DTypeName(dtype), value));
  }
  Shape shape = {static_cast<int64_t>(spec.values.size())};
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(std::move(spec), std::move(shape), dtype));
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
