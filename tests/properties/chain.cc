#include "tests/properties/chain.h"

#include <algorithm>
#include <numeric>

#include <rapidcheck.h>

namespace ckmap::testing {
namespace {

constexpr int64_t kMaxElements = 3000;

// Whatever the size of the case: every choice is as likely as the others.
int64_t Draw(int64_t low, int64_t high) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<int64_t>(low, high + 1));
}

template <typename T>
const T& OneOf(const std::vector<T>& choices) {
  return choices[static_cast<size_t>(Draw(0, static_cast<int64_t>(choices.size()) - 1))];
}

Index Divisors(int64_t number) {
  Index divisors;
  for (int64_t i = 1; i <= number; ++i) {
    if (number % i == 0) divisors.push_back(i);
  }
  return divisors;
}

// Factors of a number, one to three of them.
Index DrawFactors(int64_t number) {
  Index factors;
  for (int64_t count = Draw(0, 2); count > 0; --count) {
    factors.push_back(OneOf(Divisors(number)));
    number /= factors.back();
  }
  factors.push_back(number);
  return factors;
}

Index DrawOrder(size_t count) {
  Index order(count);
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = count; i > 1; --i)
    std::swap(order[i - 1], order[static_cast<size_t>(Draw(0, static_cast<int64_t>(i) - 1))]);
  return order;
}

void DrawRearrange(const Array& array, Step& step) {
  for (const int64_t size : array.shape) {
    Index group;
    for (const int64_t factor : DrawFactors(size)) {
      group.push_back(static_cast<int64_t>(step.atoms.size()));
      step.atoms.push_back(factor);
    }
    step.left.push_back(group);
  }
  for (const int64_t atom : DrawOrder(step.atoms.size())) {
    if (step.right.empty() || Draw(0, 1) == 1) step.right.emplace_back();
    step.right.back().push_back(atom);
  }
  if (Draw(0, 5) == 0) step.right.emplace_back();  // an axis of size 1
}

// Arguments of one tensor's operation. False: this tensor does not take it.
bool DrawMap(const Array& array, Step& step) {
  const auto rank = static_cast<int64_t>(array.shape.size());
  const std::string& op = step.op;
  if (op == "permute") {
    step.numbers = DrawOrder(array.shape.size());
    return true;
  }
  if (op == "reshape") {
    step.numbers = DrawFactors(array.count());
    return true;
  }
  if (op == "unsqueeze") {
    step.axis = Draw(0, rank);
    return rank < 6;
  }
  if (op == "rearrange") {
    DrawRearrange(array, step);
    return true;
  }
  if (rank == 0) return false;
  step.axis = Draw(0, rank - 1);
  const int64_t size = array.shape[static_cast<size_t>(step.axis)];
  if (op == "transpose") {
    step.numbers = {Draw(0, rank - 1)};
    return rank > 1;
  }
  if (op == "squeeze") return size == 1;
  if (op == "flatten") step.numbers = {Draw(step.axis, rank - 1)};
  if (op == "slice") {
    const int64_t begin = Draw(0, size - 1);
    step.numbers = {begin, Draw(begin + 1, size), Draw(1, 3)};
  }
  if (op == "select") step.numbers = {Draw(0, size - 1)};
  if (op == "pick") {
    for (int64_t count = Draw(1, 5); count > 0; --count) step.numbers.push_back(Draw(0, size - 1));
  }
  if (op == "repeat") {
    step.numbers = {Draw(1, 3)};
    step.word = Draw(0, 1) == 0 ? "each" : "whole";
  }
  if (op == "reorder") step.numbers = DrawOrder(static_cast<size_t>(OneOf(Divisors(size))));
  if (op == "pad") {
    step.numbers = {Draw(0, 2), Draw(0, 3)};
    step.word = Draw(0, 2) == 0 ? "edge" : "constant";
  }
  return true;
}

bool DrawExpand(const Array& array, Step& step) {
  if (array.shape.empty()) return false;
  step.axis = Draw(0, static_cast<int64_t>(array.shape.size()) - 1);
  const int64_t size = array.shape[static_cast<size_t>(step.axis)];
  if (step.op == "split") {
    int64_t left = size;
    while (left > 0 && step.numbers.size() < 4) {
      step.numbers.push_back(Draw(1, left));
      left -= step.numbers.back();
    }
    if (left > 0) step.numbers.push_back(left);
  }
  if (step.op == "deinterleave") {
    const int64_t parts = OneOf(Divisors(size));
    step.numbers = {parts, OneOf(Divisors(size / parts))};
    return parts <= 6;
  }
  return size <= 6 || step.op == "split";
}

bool SameButFor(const std::vector<Array>& arrays, std::optional<size_t> axis) {
  return std::all_of(arrays.begin(), arrays.end(), [&](const Array& array) {
    Index a = array.shape, b = arrays[0].shape;
    if (a.size() != b.size()) return false;
    if (axis) a[*axis] = b[*axis] = 0;
    return a == b;
  });
}

bool DrawReduce(const std::vector<Array>& arrays, Step& step) {
  const auto rank = static_cast<int64_t>(arrays[0].shape.size());
  const bool stack = step.op == "stack";
  if (rank == 0 && !stack) return false;
  step.axis = Draw(0, stack ? rank : rank - 1);
  if (step.op == "concat") return SameButFor(arrays, static_cast<size_t>(step.axis));
  if (!SameButFor(arrays, std::nullopt)) return false;
  if (step.op == "interleave") step.numbers = {OneOf(Divisors(arrays[0].shape[static_cast<size_t>(step.axis)]))};
  return true;
}

plan::Expr Int(int64_t value) {
  plan::Expr expr;
  expr.set_int_(value);
  return expr;
}

class OpWriter {
 public:
  explicit OpWriter(std::string_view name) { op_.set_name(std::string(name)); }

  OpWriter& Put(std::string_view name, int64_t value) {
    *Add(name) = Int(value);
    return *this;
  }
  OpWriter& Put(std::string_view name, const Index& values) {
    plan::Expr& expr = *Add(name);
    expr.mutable_list();
    for (const int64_t value : values) *expr.mutable_list()->add_items() = Int(value);
    return *this;
  }
  OpWriter& Put(std::string_view name, const std::string& text) {
    Add(name)->set_text(text);
    return *this;
  }
  plan::Op Take() { return std::move(op_); }

 private:
  plan::Expr* Add(std::string_view name) {
    plan::Argument& argument = *op_.add_args();
    argument.set_name(std::string(name));
    return argument.mutable_value();
  }

  plan::Op op_;
};

std::string SideText(const std::vector<Index>& groups) {
  std::string text;
  for (const Index& group : groups) {
    text += " (";
    for (const int64_t atom : group) text += " x" + std::to_string(atom);
    text += " )";
  }
  return text;
}

plan::Op RearrangeOp(const Step& step) {
  OpWriter op("rearrange");
  op.Put("pattern", SideText(step.left) + " ->" + SideText(step.right));
  for (const Index& group : step.left) {
    for (size_t k = 1; k < group.size(); ++k)
      op.Put("x" + std::to_string(group[k]), step.atoms[static_cast<size_t>(group[k])]);
  }
  return op.Take();
}

}  // namespace

State Start() {
  Index shape;
  for (int64_t rank = Draw(0, 4); rank > 0; --rank) shape.push_back(Draw(1, 6));
  return {false, {Iota(shape)}};
}

std::optional<Step> DrawStep(const State& state, bool reversible) {
  static const std::vector<std::string> kKeeps = {"transpose", "permute", "reshape",   "squeeze", "unsqueeze",
                                                  "flatten",   "flip",    "rearrange", "pad",     "reorder"};
  static const std::vector<std::string> kLoses = {"slice", "select", "repeat", "pick"};
  static const std::vector<std::string> kExpands = {"split", "unstack", "deinterleave"};
  static const std::vector<std::string> kReduces = {"concat", "stack", "interleave"};
  Step step;
  const int64_t kind = Draw(0, 9);
  bool fits = false;
  if (state.list && kind > 4) {
    step.op = OneOf(kReduces);
    fits = DrawReduce(state.arrays, step);
  } else if (!state.list && kind > 6) {
    step.op = OneOf(kExpands);
    fits = DrawExpand(state.arrays[0], step);
  } else {
    step.op = reversible || kind > 1 ? OneOf(kKeeps) : OneOf(kLoses);
    fits = SameButFor(state.arrays, std::nullopt) && DrawMap(state.arrays[0], step);
    if (reversible && step.word == "edge") step.word = "constant";
  }
  if (!fits) return std::nullopt;
  int64_t count = 0;
  for (const Array& array : Apply(step, state).arrays) count += array.count();
  return count <= kMaxElements ? std::optional(step) : std::nullopt;
}

State Apply(const Step& step, const State& state) {
  const std::string& op = step.op;
  if (op == "concat" || op == "stack" || op == "interleave") return {false, {ApplyReduce(step, state.arrays)}};
  if (op == "split" || op == "unstack" || op == "deinterleave") return {true, ApplyExpand(step, state.arrays[0])};
  State next{state.list, {}};
  for (const Array& array : state.arrays) next.arrays.push_back(ApplyMap(step, array));
  return next;
}

plan::Op ToPlan(const Step& step) {
  const std::string& op = step.op;
  const Index& n = step.numbers;
  OpWriter out(op);
  if (op == "rearrange") return RearrangeOp(step);
  if (op == "permute") return out.Put("axes", n).Take();
  if (op == "reshape") return out.Put("shape", n).Take();
  if (op == "transpose") return out.Put("a", step.axis).Put("b", n[0]).Take();
  if (op == "flatten") return out.Put("begin", step.axis).Put("end", n[0]).Take();
  out.Put("axis", step.axis);
  if (op == "slice") out.Put("begin", n[0]).Put("end", n[1]).Put("step", n[2]);
  if (op == "select") out.Put("index", n[0]);
  if (op == "pick") out.Put("indices", n);
  if (op == "reorder") out.Put("blocks", n);
  if (op == "repeat") out.Put("times", n[0]).Put("order", step.word);
  if (op == "pad") out.Put("before", n[0]).Put("after", n[1]).Put("value", 7).Put("mode", step.word);
  if (op == "split") out.Put("sizes", n);
  if (op == "interleave") out.Put("block", n[0]);
  if (op == "deinterleave") out.Put("parts", n[0]).Put("block", n[1]);
  return out.Take();
}

}  // namespace ckmap::testing
