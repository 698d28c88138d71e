// Shape rules of structural operations on one tensor.
#pragma once

#include <map>

#include "runtime/ops/einops.h"
#include "runtime/ops/shape_rule.h"

namespace ckmap {

template <typename Size>
Shaped<Size> SameShape(const ShapeInput<Size>& in) {
  return Shaped<Size>::Tensor(in.tensors[0]);
}

template <typename Size>
Shaped<Size> TransposeShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  Dims<Size> dims = in.tensors[0];
  if (!dims) return work.Tensor(std::nullopt);
  const auto a = work.Axis("a", dims->size(), -2), b = work.Axis("b", dims->size(), -1);
  if (!a || !b) return work.Tensor(std::nullopt);
  std::swap((*dims)[*a], (*dims)[*b]);
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> PermuteShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  const Dims<Size>& shape = in.tensors[0];
  const Argument<Size>* axes = in.call.Find("axes");
  if (!shape || axes == nullptr) return work.Tensor(std::nullopt);
  const auto fail = [&](std::string message, std::optional<size_t> item) {
    work.Fail({403, std::move(message), fmt::format("the shape here is `{}`", DimsText(shape)),
               "each axis of the tensor stands once in the list", "axes", item});
    return work.Tensor(std::nullopt);
  };
  if (axes->items.size() != shape->size())
    return fail(fmt::format("{} axes are given for a tensor of {}", axes->items.size(), shape->size()), {});
  std::vector<Dim<Size>> dims;
  std::vector<bool> seen(shape->size(), false);
  for (size_t i = 0; i < axes->items.size(); ++i) {
    const auto axis = axes->items[i].Int();
    if (!axis) return work.Tensor(std::nullopt);
    const auto rank = static_cast<int64_t>(shape->size());
    const int64_t index = *axis < 0 ? *axis + rank : *axis;
    if (index < 0 || index >= rank) return fail(fmt::format("there is no axis {}", *axis), i);
    if (seen[static_cast<size_t>(index)]) return fail(fmt::format("axis {} is given twice", *axis), i);
    seen[static_cast<size_t>(index)] = true;
    dims.push_back((*shape)[static_cast<size_t>(index)]);
  }
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> ReorderShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  const Dims<Size>& shape = in.tensors[0];
  const Argument<Size>* blocks = in.call.Find("blocks");
  if (!shape || blocks == nullptr) return work.Tensor(std::nullopt);
  const auto axis = work.Axis("axis", shape->size());
  const auto count = static_cast<int64_t>(blocks->items.size());
  std::vector<bool> seen(blocks->items.size(), false);
  for (size_t i = 0; i < blocks->items.size(); ++i) {
    const auto block = blocks->items[i].Int();
    if (!block) continue;
    const bool outside = *block < 0 || *block >= count;
    if (outside || seen[static_cast<size_t>(*block)]) {
      work.Fail({403,
                 outside ? fmt::format("there is no block {} of {}", *block, count)
                         : fmt::format("block {} is given twice", *block),
                 "", fmt::format("each number from 0 to {} stands once in the list", count - 1), "blocks", i});
      return work.Tensor(std::nullopt);
    }
    seen[static_cast<size_t>(*block)] = true;
  }
  if (!axis) return work.Tensor(std::nullopt);
  const auto size = ShapeWork<Size>::Constant((*shape)[*axis]);
  if (count == 0 || (size && *size % count != 0)) {
    work.Fail({412,
               count == 0 ? "no block is given"
                          : fmt::format("axis {} of size {} is not made of {} equal blocks", *axis, *size, count),
               "", "", "blocks"});
  }
  return work.Tensor(shape);
}

template <typename Size>
Shaped<Size> ReshapeShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  const Dims<Size>& shape = in.tensors[0];
  const Argument<Size>* sizes = in.call.Find("shape");
  if (sizes == nullptr) return work.Tensor(std::nullopt);
  std::vector<Dim<Size>> dims, given;
  std::optional<size_t> open;
  for (size_t i = 0; i < sizes->items.size(); ++i) {
    const Dim<Size>& size = sizes->items[i].size;
    const std::optional<int64_t> constant = Work::Constant(size);
    if (constant && *constant < 0) {
      if (*constant != -1 || open) {
        work.Fail({405, open ? "two sizes are -1" : fmt::format("a size of {}", *constant), "",
                   "one size may be -1: it is computed from the others", "shape", i});
        return work.Tensor(std::nullopt);
      }
      open = i;
    } else {
      given.push_back(size);
    }
    dims.push_back(size);
  }
  const Dim<Size> product = Work::Product(given), total = shape ? Work::Product(*shape) : std::nullopt;
  if (open) dims[*open] = Work::Divide(total, product);
  if (open && total && product && SizeKind<Size>::NeverDivides(*total, *product)) {
    work.Fail({405, fmt::format("`{}` has `{}` elements, which `{}` does not divide", DimsText(shape),
                                SizeKind<Size>::Text(*total), SizeKind<Size>::Text(*product))});
  } else if (!open && work.Differ(total, product)) {
    work.Fail({405, fmt::format("`{}` has `{}` elements, and the new shape `{}`", DimsText(shape),
                                SizeKind<Size>::Text(*total), SizeKind<Size>::Text(*product))});
  }
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> SqueezeShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  const Dim<Size> size = (*dims)[*axis];
  if (work.Differ(size, work.Number(1))) {
    work.Fail({406,
               fmt::format("axis {} has size `{}`, and only an axis of size 1 can be removed", *axis,
                           SizeKind<Size>::Text(*size)),
               "", SizeKind<Size>::Constant(*size) ? "" : "write `1` for this axis in the brackets if it is one"});
  }
  dims->erase(dims->begin() + static_cast<std::ptrdiff_t>(*axis));
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> UnsqueezeShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size() + 1) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  dims->insert(dims->begin() + static_cast<std::ptrdiff_t>(*axis), work.Number(1));
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> FlattenShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  const Dims<Size>& shape = in.tensors[0];
  if (!shape) return work.Tensor(std::nullopt);
  // A scalar becomes [1], as in numpy and torch.
  if (shape->empty() && in.call.args.empty()) return work.Tensor(std::vector<Dim<Size>>{Work::Number(1)});
  const auto begin = work.Axis("begin", shape->size(), 0), end = work.Axis("end", shape->size(), -1);
  if (!begin || !end) return work.Tensor(std::nullopt);
  if (*begin > *end) {
    work.Fail({1209, fmt::format("flatten from axis {} to axis {}", *begin, *end)});
    return work.Tensor(std::nullopt);
  }
  const auto first = shape->begin() + static_cast<std::ptrdiff_t>(*begin),
             last = shape->begin() + static_cast<std::ptrdiff_t>(*end) + 1;
  std::vector<Dim<Size>> dims(shape->begin(), first);
  dims.push_back(Work::Product(std::vector<Dim<Size>>(first, last)));
  dims.insert(dims.end(), last, shape->end());
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> FlipShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  const bool fits = in.tensors[0] && work.Axis("axis", in.tensors[0]->size());
  return work.Tensor(fits ? in.tensors[0] : std::nullopt);
}

template <typename Size>
Shaped<Size> SliceShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  Dim<Size>& size = (*dims)[*axis];
  const std::optional<int64_t> known = Work::Constant(size);
  std::optional<int64_t> begin = in.call.Int("begin", 0), end = in.call.Int("end", known);
  const std::optional<int64_t> step = in.call.Int("step", 1);
  for (std::optional<int64_t>* bound : {&begin, &end}) {
    if (*bound && **bound < 0) *bound = known ? std::optional(**bound + *known) : std::nullopt;
  }
  size = std::nullopt;
  if (!begin || !end || !step) return work.Tensor(std::move(dims));
  if (*begin < 0 || *begin > *end || (known && *end > *known) || *step < 1) {
    work.Fail({1209, fmt::format("{}:{}{} does not lie inside axis {}", *begin, *end,
                                 *step == 1 ? "" : fmt::format(":{}", *step), *axis)});
  } else {
    size = Work::Number((*end - *begin) / *step + ((*end - *begin) % *step != 0 ? 1 : 0));
  }
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> SelectShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  const auto size = Work::Constant((*dims)[*axis]);
  const auto index = in.call.Int("index");
  if (size && index && (*index >= *size || *index < -*size)) {
    work.Fail({412, fmt::format("index {} of an axis of size {}", *index, *size),
               fmt::format("the shape here is `{}`", DimsText(in.tensors[0])), "", "index"});
  }
  dims->erase(dims->begin() + static_cast<std::ptrdiff_t>(*axis));
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> PickShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  Dim<Size>& size = (*dims)[*axis];
  const Argument<Size>* indices = in.call.Find("indices");
  if (indices == nullptr || indices->items.empty() ||
      (indices->items.size() == 1 && !indices->items[0].Int())) {  // a parameter may hold the list
    size = std::nullopt;
    return work.Tensor(std::move(dims));
  }
  const auto least = Work::Constant(size);
  for (size_t i = 0; i < indices->items.size(); ++i) {
    const auto index = indices->items[i].Int();
    if (!index || (*index >= 0 && (!least || *index < *least))) continue;
    work.Fail({412, fmt::format("index {} of an axis of size {}", *index, size ? SizeKind<Size>::Text(*size) : "_"), "",
               "", "indices", i});
    break;
  }
  size = Work::Number(static_cast<int64_t>(indices->items.size()));
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> PadShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  Dim<Size>& size = (*dims)[*axis];
  const auto below = [&](const char* name, int64_t least) {
    const auto given = in.call.Int(name);
    if (!given || *given >= least) return false;
    work.Fail({1209, fmt::format("`{}` of `pad` is {}, and {} is the least; use slice to cut", name, *given, least), "",
               "", name});
    return true;
  };
  if (below("multiple", 1) || below("before", 0) || below("after", 0)) return work.Tensor(std::nullopt);
  const Argument<Size>* mode = in.call.Find("mode");
  if (mode != nullptr && mode->text == "edge" && Work::Constant(size) == 0)
    work.Fail({1209, fmt::format("axis {} of size 0 has no edge", *axis)});
  if (in.call.Find("multiple") != nullptr) {
    const auto now = Work::Constant(size), to = in.call.Int("multiple");
    const bool known = now && to && *to > 0 && *now <= INT64_MAX - *to;
    size = known ? Work::Number((*now + *to - 1) / *to * *to) : std::nullopt;
    return work.Tensor(std::move(dims));
  }
  for (const std::string_view end : {"before", "after"}) {
    if (const Argument<Size>* given = in.call.Find(end)) size = Work::Add(size, given->size);
  }
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> RepeatShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  const Argument<Size>* times = in.call.Find("times");
  if (const auto count = in.call.Int("times"); count && *count < 1)
    work.Fail({1209, fmt::format("it cannot be repeated {} times", *count), "", "", "times"});
  (*dims)[*axis] = work.Multiply((*dims)[*axis], times == nullptr ? std::nullopt : times->size);
  return work.Tensor(std::move(dims));
}

// ---- rearrange -----------------------------------------------------------------------------------

// The sizes of the names in a group of the left side. False: a problem.
template <typename Size>
bool RearrangeGroup(ShapeWork<Size>& work, const EinopsGroup& group, const Dim<Size>& size,
                    std::map<std::string, Dim<Size>>& sizes) {
  using Work = ShapeWork<Size>;
  const std::string& pattern = work.call().Find("pattern")->text;
  Dim<Size> known = Work::Number(1);
  const EinopsAxis* open = nullptr;
  for (const EinopsAxis& axis : group.axes) {
    if (const Argument<Size>* given = work.call().Find(axis.name)) {
      sizes[axis.name] = given->size;
      if (const auto number = given->Int(); number && *number < 1) {
        work.Fail({1209, fmt::format("axis `{}` is given size {}", axis.name, *number), "", "", axis.name});
        return false;
      }
      known = Work::Multiply(known, given->size);
    } else if (open != nullptr) {
      work.Fail({413,
                 fmt::format("the sizes of `{}` and `{}` are both open", open->name, axis.name),
                 "",
                 fmt::format("give one of them: {}=…", axis.name),
                 "pattern",
                 {},
                 axis.at,
                 axis.name.size()});
      return false;
    } else {
      open = &axis;
    }
  }
  const auto number = Work::Constant(size), factor = Work::Constant(known);
  if (open == nullptr ? work.Differ(size, known) : number && factor && *factor > 0 && *number % *factor != 0) {
    work.Fail({413,
               open == nullptr
                   ? fmt::format("`{}` is `{}`, and this axis has size `{}`", pattern.substr(group.at, group.length),
                                 SizeKind<Size>::Text(*known), SizeKind<Size>::Text(*size))
                   : fmt::format("this axis has size {}, which does not divide by {}", *number, *factor),
               "",
               "",
               "pattern",
               {},
               group.at,
               group.length});
    return false;
  }
  if (open != nullptr) sizes[open->name] = Work::Divide(size, known);
  return true;
}

template <typename Size>
Shaped<Size> RearrangeShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  const Dims<Size>& shape = in.tensors[0];
  const Argument<Size>* pattern = in.call.Find("pattern");
  if (!shape || pattern == nullptr) return work.Tensor(std::nullopt);
  const auto parsed = ParseRearrangement(pattern->text);
  const auto* form = std::get_if<Rearrangement>(&parsed);
  if (form == nullptr) return work.Tensor(std::nullopt);  // is reported where arguments are checked
  const size_t named = form->left.groups.size() - (form->left.ellipsis ? 1 : 0);
  if (form->left.ellipsis ? shape->size() < named : shape->size() != named) {
    const size_t arrow = pattern->text.find("->");
    work.Fail({413,
               fmt::format("the left side names {}{} ax{}, and the tensor has {}",
                           form->left.ellipsis ? "at least " : "", named, named == 1 ? "is" : "es", shape->size()),
               fmt::format("the shape here is `{}`", DimsText(shape)),
               form->left.ellipsis ? "" : "`...` stands for axes that are not named",
               "pattern",
               {},
               0,
               pattern->text.find_last_not_of(' ', arrow - 1) + 1});
    return work.Tensor(std::nullopt);
  }
  std::map<std::string, Dim<Size>> sizes;
  std::vector<Dim<Size>> unnamed;
  size_t at = 0;
  for (const EinopsGroup& group : form->left.groups) {
    if (group.IsEllipsis()) {
      for (const size_t end = at + shape->size() - named; at < end; ++at) unnamed.push_back((*shape)[at]);
    } else if (!RearrangeGroup(work, group, (*shape)[at++], sizes)) {
      return work.Tensor(std::nullopt);
    }
  }
  std::vector<Dim<Size>> dims;
  for (const EinopsGroup& group : form->right.groups) {
    if (group.IsEllipsis()) {
      dims.insert(dims.end(), unnamed.begin(), unnamed.end());
      continue;
    }
    Dim<Size> product = Work::Number(1);
    for (const EinopsAxis& axis : group.axes) {
      product = Work::Multiply(product, axis.name == kEllipsis ? Work::Product(unnamed) : sizes[axis.name]);
    }
    dims.push_back(product);
  }
  return work.Tensor(std::move(dims));
}

// ---- bitcast -------------------------------------------------------------------------------------

// A dtype of another size changes the last axis.
template <typename Size>
Shaped<Size> BitcastShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  Dims<Size> dims = in.tensors[0];
  if (!dims || dims->empty()) return work.Tensor(std::move(dims));
  const Argument<Size>*to_arg = in.call.Find("to"), *from_arg = in.call.Find("from");
  const auto to = to_arg != nullptr ? ParseDType(to_arg->text) : std::nullopt;
  const auto from = from_arg != nullptr ? ParseDType(from_arg->text) : in.dtype;
  Dim<Size>& last = dims->back();
  if (!to || !from || DTypeBits(*to) == 0 || DTypeBits(*from) == 0) {
    last = std::nullopt;
  } else if (DTypeBits(*from) > DTypeBits(*to)) {
    last = Work::Multiply(last, Work::Number(DTypeBits(*from) / DTypeBits(*to)));
  } else if (DTypeBits(*from) < DTypeBits(*to)) {
    last = Work::Divide(last, Work::Number(DTypeBits(*to) / DTypeBits(*from)));
  }
  return work.Tensor(std::move(dims));
}

}  // namespace ckmap
