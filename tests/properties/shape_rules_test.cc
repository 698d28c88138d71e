// The shape rule of each operation, over numbers and over polynomials, against what the operation means, and over
// numbers against what the binder takes. How many cases: RC_PARAMS="max_success=100000" (tests/properties.sh).
#include <map>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "runtime/bind/values/tensor_expr.h"
#include "runtime/ops/inverse.h"
#include "tests/properties/chain.h"
#include "tests/properties/read_pieces.h"
#include "tests/properties/sizes.h"

namespace ckmap::testing {
namespace {

class NoScope : public Scope {
 public:
  Value Variable(const std::string& /*name*/) const override { return {}; }
};

// Arguments that say which axis, or that cut what must be a number, are numbers.
bool IsSize(std::string_view op, std::string_view argument) {
  return (op == "reshape" && argument == "shape") || argument == "sizes" || argument == "parts" ||
         argument == "times" || argument == "before" || argument == "after" || argument[0] == 'x';
}

template <typename Size>
Argument<Size> ArgumentOf(const plan::Expr& expr, bool size) {
  Argument<Size> argument;
  if (expr.kind_case() == plan::Expr::kText) argument.text = expr.text();
  if (expr.kind_case() == plan::Expr::kInt)
    argument.size = size ? Draw<Size>(expr.int_()) : SizeKind<Size>::Number(expr.int_());
  for (const plan::Expr& item : expr.list().items()) argument.items.push_back(ArgumentOf<Size>(item, size));
  return argument;
}

template <typename Size>
Shaped<Size> ApplyRule(const plan::Op& op, const State& state) {
  Call<Size> call{op.name(), {}};
  for (const plan::Argument& arg : op.args())
    call.args.emplace_back(arg.name(), ArgumentOf<Size>(arg.value(), IsSize(op.name(), arg.name())));
  ShapeInput<Size> input{call, {}};
  for (const Array& array : state.arrays) input.tensors.push_back(DrawDims<Size>(array.shape));
  if (FindOp(op.name())->arity != OpArity::kReduce) input.tensors.resize(1);
  if (state.list) input.count = Draw<Size>(static_cast<int64_t>(state.arrays.size()));
  return FindShapeRule<Size>(op.name())(input);
}

// `all`: every size is known, as numbers are.
template <typename Size>
void CheckShaped(const Shaped<Size>& shaped, const std::vector<Array>& meant, bool all) {
  if (shaped.problem) RC_FAIL(shaped.problem->message);
  const bool alike = shaped.tensors.size() == 1;
  RC_ASSERT(alike || shaped.tensors.size() == meant.size());
  if (shaped.list && (all || shaped.count)) RC_ASSERT(ValueOf(*shaped.count) == static_cast<int64_t>(meant.size()));
  for (size_t i = 0; i < meant.size(); ++i) {
    const Dims<Size>& dims = shaped.tensors[alike ? 0 : i];
    RC_ASSERT(dims.has_value());
    RC_ASSERT(dims->size() == meant[i].shape.size());
    for (size_t k = 0; k < dims->size(); ++k) {
      if (all || (*dims)[k]) RC_ASSERT(ValueOf((*dims)[k].value()) == meant[i].shape[k]);
    }
  }
}

// A step that fits, or nullopt.
struct Drawn {
  State before;
  std::optional<Step> step;
};

Drawn DrawAny(bool reversible = false) {
  Drawn drawn{Start(), {}};
  for (int64_t left = Roll(3); left > 0; --left) {
    if (const auto step = DrawStep(drawn.before, reversible)) drawn.before = Apply(*step, drawn.before);
  }
  for (int tries = 0; tries < 20 && !drawn.step; ++tries) drawn.step = DrawStep(drawn.before, reversible);
  RC_PRE(drawn.step.has_value());
  return drawn;
}

std::map<std::string, int64_t> steps_taken;

TEST_CASE("a shape rule says what shape the operation gives") {
  CHECK(rc::check("numbers and polynomials give the shapes of the arrays", [] {
    const Drawn drawn = DrawAny();
    const plan::Op op = ToPlan(*drawn.step);
    ++steps_taken[op.name()];
    RC_LOG() << op.ShortDebugString();
    State before = drawn.before, after = Apply(*drawn.step, before);
    // A map is applied to each tensor: its rule is asked about the first.
    if (FindOp(op.name())->arity == OpArity::kMap) after.arrays.resize(1);
    CheckShaped(ApplyRule<int64_t>(op, before), after.arrays, true);
    CheckShaped(ApplyRule<Polynomial>(op, before), after.arrays, false);
  }));
  std::string text = "operations:";
  for (const auto& [op, count] : steps_taken) text += " " + op + " " + std::to_string(count);
  MESSAGE(text);
  CHECK(steps_taken.size() == 20);
}

// One number of a call changed.
void Spoil(plan::Op& op) {
  std::vector<plan::Expr*> numbers;
  for (plan::Argument& arg : *op.mutable_args()) {
    plan::Expr* value = arg.mutable_value();
    if (arg.name() == "value") continue;
    if (value->kind_case() == plan::Expr::kInt) numbers.push_back(value);
    if (value->kind_case() == plan::Expr::kList) {
      for (plan::Expr& item : *value->mutable_list()->mutable_items()) numbers.push_back(&item);
    }
  }
  RC_PRE(!numbers.empty());
  plan::Expr* changed = numbers[static_cast<size_t>(Roll(static_cast<int64_t>(numbers.size())))];
  changed->set_int_(changed->int_() + Roll(9) - 4);
}

TEST_CASE("a shape rule takes what the binder takes") {
  int taken = 0, refused = 0;
  CHECK(rc::check("numbers that do not fit are problems of both", [&] {
    const Drawn drawn = DrawAny();
    plan::Op op = ToPlan(*drawn.step);
    Spoil(op);
    RC_LOG() << op.ShortDebugString();
    Manifest source;
    std::vector<Node> nodes;
    for (size_t i = 0; i < drawn.before.arrays.size(); ++i) {
      TensorInfo info;
      info.name = "s" + std::to_string(i);
      info.dtype = DType::kF32;
      info.shape = drawn.before.arrays[i].shape;
      RC_ASSERT(source.Add(info));
    }
    const bool map = FindOp(op.name())->arity != OpArity::kReduce;
    for (size_t i = 0; i < (map ? 1 : source.size()); ++i) nodes.push_back(Node::Leaf(WholeSource(source, i)));
    auto bound = ApplyOp(op, map ? nodes[0] : Node::List(nodes), NoScope(), 0, nullptr);
    const Shaped<int64_t> shaped = ApplyRule<int64_t>(op, drawn.before);
    if (!bound) {
      ++refused;
      RC_LOG() << bound.error().message();
      RC_ASSERT(shaped.problem.has_value());
      return;
    }
    ++taken;
    std::vector<Array> meant;
    ForEachTensor(*bound, [&](const TensorValue& tensor) { meant.push_back({tensor.value.shape, {}}); });
    CheckShaped(shaped, meant, true);
  }));
  CHECK(taken > 0);
  CHECK(refused > 0);
}

plan::Expr ToExpr(const Argument<int64_t>& argument, ArgType type) {
  plan::Expr expr;
  if (argument.size)
    expr.set_int_(*argument.size);
  else if (type == ArgType::kIntList || type == ArgType::kDims)
    expr.mutable_list();
  else
    expr.set_text(argument.text);
  for (const Argument<int64_t>& item : argument.items) *expr.mutable_list()->add_items() = ToExpr(item, ArgType::kInt);
  return expr;
}

plan::Op ToOp(const Call<int64_t>& call) {
  plan::Op op;
  op.set_name(std::string(call.op));
  for (const auto& [name, argument] : call.args) {
    plan::Argument& to = *op.add_args();
    to.set_name(name);
    ArgType type = ArgType::kInt;
    for (const ArgSpec& spec : FindOp(call.op)->args) type = spec.name == name ? spec.type : type;
    *to.mutable_value() = ToExpr(argument, type);
  }
  return op;
}

TEST_CASE("the inverse of an operation brings its tensors back") {
  std::map<std::string, int64_t> undone_ops;
  CHECK(rc::check("there by the operation, back by its inverse", [&] {
    const Drawn drawn = DrawAny(true);
    const plan::Op op = ToPlan(*drawn.step);
    ++undone_ops[op.name()];
    RC_LOG() << op.ShortDebugString();
    const State& before = drawn.before;
    const State after = Apply(*drawn.step, before);
    Call<int64_t> call{op.name(), {}};
    for (const plan::Argument& arg : op.args())
      call.args.emplace_back(arg.name(), ArgumentOf<int64_t>(arg.value(), false));
    ShapeInput<int64_t> input{call, {}};
    for (const Array& array : before.arrays) input.tensors.push_back(DrawDims<int64_t>(array.shape));
    input.count = static_cast<int64_t>(before.arrays.size());
    const Undone<int64_t> undone = FindInverse<int64_t>(op.name())(input);
    RC_ASSERT(undone.call.has_value());
    const plan::Op back = ToOp(*undone.call);
    RC_LOG() << back.ShortDebugString();
    Manifest source;
    std::vector<Node> nodes;
    for (size_t i = 0; i < after.arrays.size(); ++i) {
      TensorInfo info;
      info.name = "s" + std::to_string(i);
      info.dtype = DType::kF32;
      info.shape = after.arrays[i].shape;
      RC_ASSERT(source.Add(info));
    }
    for (size_t i = 0; i < source.size(); ++i) nodes.push_back(Node::Leaf(WholeSource(source, i)));
    auto bound = ApplyOp(back, after.list ? Node::List(nodes) : nodes[0], NoScope(), 0, nullptr);
    if (!bound) RC_FAIL(bound.error().message());
    std::vector<Array> found;
    ForEachTensor(*bound, [&](const TensorValue& tensor) {
      found.push_back(ReadPieces(tensor.value, [&](int32_t from, int64_t element) {
        return after.arrays[tensor.inputs[static_cast<size_t>(from)].source].at.at(static_cast<size_t>(element));
      }));
    });
    RC_ASSERT(found.size() == before.arrays.size());
    for (size_t i = 0; i < found.size(); ++i) {
      RC_ASSERT(found[i].shape == before.arrays[i].shape);
      RC_ASSERT(found[i].at == before.arrays[i].at);
    }
  }));
  CHECK(undone_ops.size() == 16);
}

TEST_CASE("every operation that can be undone has an inverse") {
  for (const OpSpec& op : Ops()) {
    CAPTURE(op.name);
    CHECK((FindInverse<int64_t>(op.name) != nullptr) == (op.undone != Inverse::kNever));
  }
}

TEST_CASE("every operation has a shape rule") {
  for (const OpSpec& op : Ops()) {
    CAPTURE(op.name);
    const bool found = FindShapeRule<int64_t>(op.name) != nullptr && FindShapeRule<Polynomial>(op.name) != nullptr;
    CHECK(found);
  }
}

}  // namespace
}  // namespace ckmap::testing
