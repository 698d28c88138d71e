// The shape rules of the operations on codes and tables, over numbers and over polynomials, against what the binder makes
// of the same tensors.
#include <map>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "runtime/bind/computed_node.h"
#include "runtime/bind/values/tensor_expr.h"
#include "runtime/ops/shape_rules.h"
#include "tests/properties/sizes.h"

namespace ckmap::testing {
namespace {

class NoNames : public Scope {
 public:
  Value Variable(const std::string& /*name*/) const override { return {}; }
};

struct Operation {
  plan::Op op;
  std::vector<TensorInfo> tensors;

  plan::Expr& Put(const std::string& name) {
    plan::Argument& argument = *op.add_args();
    argument.set_name(name);
    return *argument.mutable_value();
  }
};

Index DrawShape(int64_t most_axes) {
  Index shape;
  for (int64_t axes = Roll(most_axes + 1); axes > 0; --axes) shape.push_back(1 + Roll(5));
  return shape;
}

DType DrawDType(const std::vector<DType>& dtypes) {
  return dtypes[static_cast<size_t>(Roll(static_cast<int64_t>(dtypes.size())))];
}

Operation DrawUnpack() {
  Operation drawn;
  drawn.op.set_name("unpack");
  drawn.tensors.push_back(
      {.name = "packed",
       .dtype = DrawDType({DType::kU8, DType::kI8, DType::kI16, DType::kU32, DType::kI64, DType::kI4, DType::kF32}),
       .shape = DrawShape(3)});
  drawn.Put("bits").set_int_(Roll(12) == 0 ? Roll(12) - 1 : 1 + Roll(8));
  if (Roll(2) == 0) drawn.Put("axis").set_int_(Roll(5) - 2);
  if (Roll(2) == 0) drawn.Put("order").set_text(Roll(2) == 0 ? "low" : "high");
  if (Roll(3) == 0) drawn.Put("fields").set_int_(Roll(6));
  return drawn;
}

Operation DrawPack() {
  Operation drawn;
  drawn.op.set_name("pack");
  drawn.tensors.push_back(
      {.name = "numbers", .dtype = DrawDType({DType::kU8, DType::kI8, DType::kF16}), .shape = DrawShape(3)});
  drawn.Put("bits").set_int_(Roll(12) == 0 ? Roll(12) - 1 : 1 + Roll(8));
  drawn.Put("to").set_text(std::string(DTypeName(DrawDType({DType::kU8, DType::kI32, DType::kU16, DType::kI64}))));
  if (Roll(2) == 0) drawn.Put("axis").set_int_(Roll(5) - 2);
  if (Roll(2) == 0) drawn.Put("order").set_text(Roll(2) == 0 ? "low" : "high");
  if (Roll(3) == 0) drawn.Put("fields").set_int_(Roll(6));
  return drawn;
}

Operation DrawAbsmax() {
  Operation drawn;
  drawn.op.set_name("absmax");
  drawn.tensors.push_back(
      {.name = "weight", .dtype = DrawDType({DType::kF32, DType::kBF16, DType::kI8}), .shape = DrawShape(3)});
  plan::Expr& block = drawn.Put("block");
  block.mutable_list();
  const auto axes = static_cast<int64_t>(drawn.tensors[0].shape.size());
  for (int64_t k = Roll(8) == 0 ? 1 : 0; k < axes; ++k)
    block.mutable_list()->add_items()->set_int_(Roll(3) == 0 ? -1 : Roll(12) == 0 ? 0 : 1 + Roll(6));
  return drawn;
}

Operation DrawConstant() {
  Operation drawn;
  drawn.op.set_name("constant");
  drawn.tensors.push_back({.name = "any", .dtype = DrawDType({DType::kF32, DType::kBool}), .shape = DrawShape(3)});
  plan::Expr& values = drawn.Put("values");
  for (int64_t left = 1 + Roll(5); left > 0; --left) values.mutable_list()->add_items()->set_int_(Roll(200));
  drawn.Put("to").set_text(std::string(DTypeName(DrawDType({DType::kI8, DType::kI64, DType::kF8E4M3}))));
  return drawn;
}

Operation DrawDecode() {
  Operation drawn;
  drawn.op.set_name("decode");
  drawn.tensors.push_back({.name = "codes",
                           .dtype = DrawDType({DType::kU8, DType::kI8, DType::kF8E4M3, DType::kI32}),
                           .shape = DrawShape(3)});
  drawn.Put("format").set_text(Roll(2) == 0 ? "e2m1" : "e4m3");
  return drawn;
}

Operation DrawTake() {
  Operation drawn;
  drawn.op.set_name("take");
  drawn.tensors.push_back({.name = "table", .dtype = DrawDType({DType::kF32, DType::kI8}), .shape = DrawShape(3)});
  drawn.tensors.push_back(
      {.name = "indices", .dtype = DrawDType({DType::kU8, DType::kI64, DType::kF32}), .shape = DrawShape(2)});
  if (Roll(2) == 0) drawn.Put("axis").set_int_(Roll(5) - 2);
  return drawn;
}

Operation DrawDivide() {
  Operation drawn;
  drawn.op.set_name("divide");
  Index shape = DrawShape(3);
  for (const char* name : {"dividend", "divisor"}) {
    drawn.tensors.push_back({.name = name, .dtype = DrawDType({DType::kF32, DType::kI8}), .shape = shape});
    for (int64_t& size : shape) {
      if (Roll(3) == 0) size = Roll(2) == 0 ? 1 : 1 + Roll(5);
    }
  }
  drawn.Put("to").set_text(Roll(4) == 0 ? "i32" : "bf16");
  return drawn;
}

template <typename Size>
Shaped<Size> RuleSays(const Operation& drawn) {
  Call<Size> call{drawn.op.name(), {}};
  for (const plan::Argument& arg : drawn.op.args()) {
    Argument<Size> argument;
    if (arg.value().kind_case() == plan::Expr::kText) argument.text = arg.value().text();
    if (arg.value().kind_case() == plan::Expr::kInt) argument.size = SizeKind<Size>::Number(arg.value().int_());
    for (const plan::Expr& item : arg.value().list().items()) {
      argument.items.emplace_back();
      argument.items.back().size = SizeKind<Size>::Number(item.int_());
    }
    call.args.emplace_back(arg.name(), std::move(argument));
  }
  ShapeInput<Size> input{call, {}};
  for (const TensorInfo& tensor : drawn.tensors) input.tensors.push_back(DrawDims<Size>(tensor.shape));
  input.count = SizeKind<Size>::Number(static_cast<int64_t>(drawn.tensors.size()));
  input.dtype = drawn.tensors[0].dtype;
  return FindShapeRule<Size>(drawn.op.name())(input);
}

// `all`: every size is known, as numbers are.
template <typename Size>
void CheckSays(const Shaped<Size>& shaped, const Shape& made, bool all) {
  if (shaped.problem) RC_FAIL(shaped.problem->message);
  RC_ASSERT(shaped.tensors.size() == 1U);
  const Dims<Size>& dims = shaped.tensors[0];
  RC_ASSERT(dims.has_value());
  RC_ASSERT(dims->size() == made.size());
  for (size_t k = 0; k < made.size(); ++k) {
    if (all || (*dims)[k]) RC_ASSERT(ValueOf((*dims)[k].value()) == made[k]);
  }
}

TEST_CASE("a shape rule of codes and tables says what the binder makes") {
  std::map<std::string, int> taken, refused;
  CHECK(rc::check("the binder's shape is the rule's, and a problem of the rule is one of the binder", [&] {
    constexpr Operation (*kDraws[])() = {DrawUnpack, DrawPack,   DrawDecode,  DrawTake,
                                         DrawDivide, DrawAbsmax, DrawConstant};
    const Operation drawn = kDraws[Roll(7)]();
    RC_LOG() << drawn.op.ShortDebugString();
    Manifest source;
    std::vector<Node> nodes;
    for (const TensorInfo& tensor : drawn.tensors) RC_ASSERT(source.Add(tensor));
    for (size_t i = 0; i < source.size(); ++i) nodes.push_back(Node::Leaf(WholeSource(source, i)));
    const bool map = FindOp(drawn.op.name())->arity != OpArity::kReduce;
    const auto bound = ApplyOp(drawn.op, map ? nodes[0] : Node::List(nodes), NoNames(), 0, nullptr);
    if (!bound) {
      ++refused[drawn.op.name()];
      return;
    }
    ++taken[drawn.op.name()];
    ForEachTensor(*bound, [&](const TensorValue& tensor) {
      CheckSays(RuleSays<int64_t>(drawn), tensor.value.shape, drawn.tensors[0].dtype != DType::kI4);
      CheckSays(RuleSays<Polynomial>(drawn), tensor.value.shape, false);
    });
  }));
  CHECK(taken.size() == 7);
  CHECK(refused.size() == 7);
}

}  // namespace
}  // namespace ckmap::testing
