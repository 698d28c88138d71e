// Random chains of structural operations: what the runtime's pieces move is what the operations mean, and turned
// round the pieces bring every element back. How many cases: RC_PARAMS="max_success=100000" (tests/properties.sh).
#include <map>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "runtime/bind/reverse.h"
#include "runtime/bind/values/tensor_expr.h"
#include "tests/properties/chain.h"
#include "tests/properties/read_pieces.h"

namespace ckmap::testing {
namespace {

class NoScope : public Scope {
 public:
  Value Variable(const std::string& /*name*/) const override { return {}; }
};

std::map<std::string, int64_t> steps_taken;

// That the dice leave no operation out.
void ReportSteps(size_t operations) {
  std::string text = "operations in the chains:";
  for (const auto& [op, count] : steps_taken) text += " " + op + " " + std::to_string(count);
  MESSAGE(text);
  CHECK(steps_taken.size() == operations);
  steps_taken.clear();
}

struct Run {
  State state;                       // what it means
  std::vector<TensorValue> tensors;  // what the runtime makes of it
};

Run RunChain(bool reversible) {
  Run run{Start(), {}};
  Manifest source;
  TensorInfo info;
  info.name = "s";
  info.dtype = DType::kF32;
  info.shape = run.state.arrays[0].shape;
  RC_ASSERT(source.Add(info));
  Node node = Node::Leaf(WholeSource(source, 0));
  std::string said;
  for (int64_t left = *rc::gen::inRange<int64_t>(1, 9); left > 0; --left) {
    const std::optional<Step> step = DrawStep(run.state, reversible);
    if (!step) continue;
    ++steps_taken[step->op];
    const plan::Op op = ToPlan(*step);
    said += op.ShortDebugString() + "\n";
    auto next = ApplyOp(op, std::move(node), NoScope(), 0, nullptr);
    if (!next) RC_FAIL(said + next.error().message());
    node = *std::move(next);
    run.state = Apply(*step, run.state);
  }
  RC_LOG() << said;
  ForEachTensor(node, [&](const TensorValue& tensor) { run.tensors.push_back(tensor); });
  RC_ASSERT(run.tensors.size() == run.state.arrays.size());
  return run;
}

TEST_CASE("pieces are what the operations mean, element by element") {
  CHECK(rc::check("pieces are what the operations mean", [] {
    const Run run = RunChain(false);
    for (size_t i = 0; i < run.tensors.size(); ++i) {
      const Array found = ReadPieces(run.tensors[i].value, [](int32_t, int64_t element) { return element; });
      RC_ASSERT(found.shape == run.state.arrays[i].shape);
      RC_ASSERT(found.at == run.state.arrays[i].at);
      RC_ASSERT(CheckTiling(run.tensors[i].value).ok());
    }
  }));
  ReportSteps(20);
}

TEST_CASE("backwards, pieces bring every element back") {
  CHECK(rc::check("there and back is the identity", [] {
    const Run run = RunChain(true);
    BindResult there;
    there.plan.emplace();
    TensorInfo info;
    info.name = "s";
    info.dtype = DType::kF32;
    int64_t count = 0;
    for (const Array& array : run.state.arrays) {
      for (const int64_t element : array.at) count += element == kPadding ? 0 : 1;
    }
    info.shape = {count};  // pieces count row-major elements: the shape itself is free
    RC_ASSERT(there.plan->source.Add(info));
    for (size_t i = 0; i < run.tensors.size(); ++i) {
      TensorInfo part = info;
      part.name = "t" + std::to_string(i);
      part.shape = run.tensors[i].value.shape;
      RC_ASSERT(there.plan->target.Add(part));
      BoundTensor tensor;
      static_cast<PiecedTensor&>(tensor) = run.tensors[i];
      tensor.target = i;
      tensor.name = part.name;
      tensor.shape = part.shape;
      there.plan->tensors.push_back(std::move(tensor));
    }
    const BindResult back = Reverse(std::move(there));
    RC_ASSERT(back.plan.has_value());
    RC_ASSERT(back.plan->tensors.size() == 1U);
    const BoundTensor& tensor = back.plan->tensors[0];
    const Array found = ReadPieces(tensor.value, [&](int32_t input, int64_t element) {
      return run.state.arrays[tensor.inputs[static_cast<size_t>(input)].source].at.at(static_cast<size_t>(element));
    });
    for (int64_t i = 0; i < count; ++i) RC_ASSERT(found.at[static_cast<size_t>(i)] == i);
  }));
  ReportSteps(16);
}

}  // namespace
}  // namespace ckmap::testing
