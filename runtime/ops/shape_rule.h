// The shape rule of an operation: what it makes of the shapes that it is given, and what about them cannot fit. A rule
// is a template over the kind of size (size_kind.h), so that the binder, the checker and the reverser say the same.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/ops/op_table.h"
#include "runtime/ops/size_kind.h"
#include "runtime/tensor/dtype.h"

namespace ckmap {

template <typename Size>
using Dim = std::optional<Size>;  // nullopt: nothing is known
template <typename Size>
using Dims = std::optional<std::vector<Dim<Size>>>;  // nullopt: not even the rank

template <typename Size>
std::string DimsText(const Dims<Size>& dims) {  // "[O, 3*I, _]"
  if (!dims) return "[...]";
  std::vector<std::string> texts;
  for (const Dim<Size>& dim : *dims) texts.push_back(dim ? SizeKind<Size>::Text(*dim) : "_");
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

// The value of an argument.
template <typename Size>
struct Argument {
  Dim<Size> size;                // an integer
  std::optional<double> number;  // of scale and its like
  std::optional<bool> boolean;
  std::string text;             // a word, a dtype, a text
  std::vector<Argument> items;  // of a list
  std::string written;          // as the rule's text writes it; empty: it was computed

  std::optional<int64_t> Int() const { return size ? SizeKind<Size>::Constant(*size) : std::nullopt; }
};

// A call of an operation. Arguments stand in the order of its table.
template <typename Size>
struct Call {
  std::string_view op;
  std::vector<std::pair<std::string, Argument<Size>>> args;

  const Argument<Size>* Find(std::string_view name) const {
    const auto found = std::find_if(args.begin(), args.end(), [&](const auto& arg) { return arg.first == name; });
    return found == args.end() ? nullptr : &found->second;
  }
  // nullopt: not known. `otherwise`: where it is not given.
  std::optional<int64_t> Int(std::string_view name, std::optional<int64_t> otherwise = {}) const {
    const Argument<Size>* arg = Find(name);
    return arg == nullptr ? otherwise : arg->Int();
  }
};

// What cannot fit.
struct ShapeProblem {
  int code = 0;  // 402 for CK0402; from 1200 on only the binder reports it
  std::string message, note, help;
  std::string argument;         // where it stands: in an argument, "": in the call as a whole
  std::optional<size_t> item;   // in this item of it
  size_t at = 0, length = 0;    // in this part of its text; 0: all of it
  std::optional<size_t> other;  // of several tensors, the one that does not fit the first
};

template <typename Size>
struct ShapeInput {
  const Call<Size>& call;
  // One tensor; of an operation that joins, one that stands for `count` alike, or all.
  std::vector<Dims<Size>> tensors;
  Dim<Size> count = {};
  Dim<Size> named = {};             // how many tensors the other side of the rule names: for a split without parts
  std::optional<DType> dtype = {};  // of the tensors, where it is known

  bool uniform() const { return tensors.size() == 1; }
};

template <typename Size>
struct Shaped {
  std::vector<Dims<Size>> tensors;  // one; of a list, one that stands for `count` alike, or all
  bool list = false;
  Dim<Size> count = {};  // of a list
  std::optional<ShapeProblem> problem = {};
  bool proved = true;  // sizes that must be equal are so, whatever their names stand for

  static Shaped Tensor(Dims<Size> dims) { return {{std::move(dims)}}; }
  static Shaped List(std::vector<Dims<Size>> items, Dim<Size> count) {
    return {std::move(items), true, std::move(count)};
  }
};

template <typename Size>
using ShapeRule = Shaped<Size> (*)(const ShapeInput<Size>& in);

// What rules are written with: arithmetic with sizes that may not be known, and the first problem that is found.
template <typename Size>
class ShapeWork {
 public:
  using Kind = SizeKind<Size>;

  explicit ShapeWork(const ShapeInput<Size>& in) : in_(in) {}

  static Dim<Size> Number(int64_t value) { return Kind::Number(value); }
  static std::optional<int64_t> Constant(const Dim<Size>& a) { return a ? Kind::Constant(*a) : std::nullopt; }
  static Dim<Size> Add(const Dim<Size>& a, const Dim<Size>& b) { return a && b ? Kind::Add(*a, *b) : std::nullopt; }
  static Dim<Size> Multiply(const Dim<Size>& a, const Dim<Size>& b) {
    return a && b ? Kind::Multiply(*a, *b) : std::nullopt;
  }
  static Dim<Size> Divide(const Dim<Size>& a, const Dim<Size>& b) {
    return a && b ? Kind::Divide(*a, *b) : std::nullopt;
  }
  static Dim<Size> Product(const std::vector<Dim<Size>>& dims) {
    Dim<Size> product = Number(1);
    for (const Dim<Size>& dim : dims) product = Multiply(product, dim);
    return product;
  }

  // Whether two sizes that must be equal never are.
  bool Differ(const Dim<Size>& a, const Dim<Size>& b) {
    if (!a || !b) return false;
    proved_ = proved_ && Kind::Equal(*a, *b);
    return Kind::NeverEqual(*a, *b);
  }

  const ShapeInput<Size>& in() const { return in_; }
  const Call<Size>& call() const { return in_.call; }
  const Dims<Size>& tensor() const { return in_.tensors[0]; }

  void Fail(ShapeProblem problem) {
    if (!problem_) problem_ = std::move(problem);
  }
  bool failed() const { return problem_.has_value(); }

  // An axis of the first tensor, counted from the front. `rank`: of the tensor, or of the result. nullopt: not known,
  // or a problem.
  std::optional<size_t> Axis(std::string_view name, size_t rank, std::optional<int64_t> otherwise = {}) {
    const std::optional<int64_t> value = call().Int(name, otherwise);
    if (!value) return std::nullopt;
    const auto count = static_cast<int64_t>(rank);
    if (*value >= -count && *value < count) return static_cast<size_t>(*value < 0 ? *value + count : *value);
    const size_t axes = tensor()->size();
    Fail({402, fmt::format("axis {} of a tensor of {} ax{}", *value, axes, axes == 1 ? "is" : "es"),
          fmt::format("its shape here is `{}`", DimsText(tensor())),
          count == 0 ? "" : fmt::format("axes are 0 to {}, or {} to -1 from the end", count - 1, -count),
          std::string(name)});
    return std::nullopt;
  }

  Shaped<Size> Tensor(Dims<Size> dims) { return Done(Shaped<Size>::Tensor(failed() ? std::nullopt : std::move(dims))); }
  Shaped<Size> List(std::vector<Dims<Size>> items, Dim<Size> count) {
    return Done(Shaped<Size>::List(std::move(items), std::move(count)));
  }

 private:
  Shaped<Size> Done(Shaped<Size> result) {
    result.problem = std::move(problem_);
    result.proved = proved_;
    return result;
  }

  const ShapeInput<Size>& in_;
  std::optional<ShapeProblem> problem_;
  bool proved_ = true;
};

}  // namespace ckmap
