// Shape rules of structural operations that join a list of tensors, or make one.
#pragma once

#include "runtime/ops/shape_rule.h"

namespace ckmap {

inline constexpr int64_t kMaxParts = 1'000'000;  // tensors that are made of one

// Whether tensors that are joined have one shape, but for `but`. False: a problem, or not known.
template <typename Size>
bool JoinedAgree(ShapeWork<Size>& work, std::optional<size_t> but) {
  const std::vector<Dims<Size>>& tensors = work.in().tensors;
  const auto fail = [&](size_t other, std::string why) {
    ShapeProblem problem{407, fmt::format("`{}` joins tensors of different shapes", work.call().op), std::move(why),
                         "write the same name for sizes that are equal"};
    problem.other = other;
    work.Fail(std::move(problem));
    return false;
  };
  for (size_t t = 0; t < tensors.size(); ++t) {
    for (size_t i = 0; i < tensors[0]->size(); ++i) {
      const Dim<Size>&a = (*tensors[0])[i], &b = (*tensors[t])[i];
      if (but == i || !work.Differ(a, b)) continue;
      return fail(t, fmt::format("axis {} is `{}` and `{}`", i, SizeKind<Size>::Text(*a), SizeKind<Size>::Text(*b)));
    }
  }
  return true;
}

// Whether all shapes are known, and have one rank.
template <typename Size>
bool JoinedRanksAgree(ShapeWork<Size>& work) {
  const std::vector<Dims<Size>>& tensors = work.in().tensors;
  for (size_t t = 0; t < tensors.size(); ++t) {
    if (!tensors[t] || !tensors[0]) return false;
    if (tensors[t]->size() == tensors[0]->size()) continue;
    ShapeProblem problem{407, fmt::format("`{}` joins tensors of different shapes", work.call().op),
                         "they have different ranks", "write the same name for sizes that are equal"};
    problem.other = t;
    work.Fail(std::move(problem));
    return false;
  }
  return true;
}

template <typename Size>
Shaped<Size> ConcatShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  if (!JoinedRanksAgree(work)) return work.Tensor(std::nullopt);
  Dims<Size> dims = in.tensors[0];
  const auto axis = work.Axis("axis", dims->size());
  if (!axis || !JoinedAgree(work, axis)) return work.Tensor(std::nullopt);
  Dim<Size> sum = Work::Number(0);
  for (const Dims<Size>& tensor : in.tensors) sum = Work::Add(sum, (*tensor)[*axis]);
  (*dims)[*axis] = in.uniform() ? Work::Multiply(in.count, (*dims)[*axis]) : sum;
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> StackShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  if (!JoinedRanksAgree(work)) return work.Tensor(std::nullopt);
  Dims<Size> dims = in.tensors[0];
  const auto axis = work.Axis("axis", dims->size() + 1);
  if (!axis || !JoinedAgree(work, {})) return work.Tensor(std::nullopt);
  dims->insert(dims->begin() + static_cast<std::ptrdiff_t>(*axis), in.count);
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> InterleaveShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  if (!JoinedRanksAgree(work)) return work.Tensor(std::nullopt);
  Dims<Size> dims = in.tensors[0];
  const auto axis = work.Axis("axis", dims->size());
  if (!axis || !JoinedAgree(work, {})) return work.Tensor(std::nullopt);
  Dim<Size>& size = (*dims)[*axis];
  const auto block = in.call.Int("block", 1), known = Work::Constant(size);
  if (block && *block < 1) work.Fail({1209, fmt::format("blocks of {}", *block), "", "", "block"});
  if (block && known && *block > 0 && *known % *block != 0) {
    work.Fail(
        {412, fmt::format("axis {} of size {} is not made of blocks of {}", *axis, *known, *block), "", "", "block"});
  }
  size = Work::Multiply(size, in.count);
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> UnstackShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  if (!axis) return work.List({std::nullopt}, {});
  const Dim<Size> count = (*dims)[*axis];
  if (const auto number = ShapeWork<Size>::Constant(count); number && *number > kMaxParts)
    work.Fail({1209, fmt::format("{} tensors, and {} is the most", *number, kMaxParts)});
  dims->erase(dims->begin() + static_cast<std::ptrdiff_t>(*axis));
  return work.List({std::move(dims)}, count);
}

template <typename Size>
Shaped<Size> SplitShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  const Dim<Size> size = axis ? (*dims)[*axis] : std::nullopt;
  if (!axis) dims.reset();
  const auto part = [&](const Dim<Size>& of) {
    Dims<Size> cut = dims;
    if (cut) (*cut)[*axis] = of;
    return cut;
  };
  if (const Argument<Size>* sizes = in.call.Find("sizes")) {
    std::vector<Dims<Size>> parts;
    Dim<Size> sum = Work::Number(0);
    for (const Argument<Size>& item : sizes->items) {
      sum = Work::Add(sum, item.size);
      if (const auto cut = item.Int(); cut && *cut < 0)
        work.Fail({1209, fmt::format("a part of size {}", *cut), "", "", "sizes"});
      parts.push_back(part(item.size));
    }
    if (work.Differ(size, sum)) {
      work.Fail({408,
                 fmt::format("the sizes add up to `{}`, and axis {} has `{}`", SizeKind<Size>::Text(*sum), *axis,
                             SizeKind<Size>::Text(*size)),
                 "", "", "sizes"});
    }
    const auto count = static_cast<int64_t>(parts.size());
    if (parts.empty()) parts.push_back(std::nullopt);
    return work.List(std::move(parts), Work::Number(count));
  }
  const Argument<Size>* parts = in.call.Find("parts");
  const Dim<Size> count = parts != nullptr ? parts->size : in.named;
  const std::optional<int64_t> number = Work::Constant(count), known = Work::Constant(size);
  const std::string where = parts != nullptr ? "parts" : "";
  if (number && *number > kMaxParts)
    work.Fail({1209, fmt::format("a split in {} parts, and {} is the most", *number, kMaxParts), "", "", where});
  if (number && *number < 1) {
    work.Fail({408, fmt::format("a split in {} parts", *number), "", "", where});
    return work.List({std::nullopt}, {});
  }
  if (number && known && *known % *number != 0)
    work.Fail({408, fmt::format("{} does not divide by {}", *known, *number), "", "", where});
  return work.List({part(Work::Divide(size, count))}, count);
}

template <typename Size>
Shaped<Size> DeinterleaveShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  const Argument<Size>* parts = in.call.Find("parts");
  const Dim<Size> count = parts != nullptr ? parts->size : in.named;
  if (!axis) return work.List({std::nullopt}, count);
  Dim<Size>& size = (*dims)[*axis];
  const auto number = Work::Constant(count), block = in.call.Int("block", 1), known = Work::Constant(size);
  if ((number && (*number < 1 || *number > kMaxParts)) || (block && *block < 1)) {
    work.Fail({1209, "`parts` and `block` are 1 or more"});
    return work.List({std::nullopt}, count);
  }
  const auto period = number && block ? SizeKind<int64_t>::Multiply(*number, *block) : std::nullopt;
  if (period && known && *period > 0 && *known % *period != 0) {
    work.Fail(
        {408, fmt::format("axis {} of size {} is not made of {} parts in blocks of {}", *axis, *known, *number, *block),
         "", "", parts != nullptr ? "parts" : ""});
  }
  size = Work::Divide(size, count);
  return work.List({std::move(dims)}, count);
}

}  // namespace ckmap
