// The inverse of an operation, as an operation: what brings its tensors back. A template over the kind of size, as the
// rules of shapes are: the compiler writes it as text, and the tests run it with numbers.
#pragma once

#include <cmath>
#include <map>

#include "runtime/ops/einops.h"
#include "runtime/ops/shape_rules.h"

namespace ckmap {

template <typename Size>
struct Undone {
  std::optional<Call<Size>> call;  // nullopt: see `why`
  bool itself = false;             // it is the operation, with its own arguments
  bool leaves_out = false;         // it drops elements that the operation added
  std::string why, help;           // it cannot be said

  static Undone Not(std::string why, std::string help = "") {
    return {{}, false, false, std::move(why), std::move(help)};
  }
};

// `in`: the call that is undone, with the shapes that it was given.
template <typename Size>
using InverseRule = Undone<Size> (*)(const ShapeInput<Size>& in);

inline constexpr std::string_view kGiveShape =
    "give the tensor's shape in brackets on the left, and the sizes by names that the right side has too";

template <typename Size>
Argument<Size> SizeArgument(Dim<Size> size) {
  Argument<Size> argument;
  argument.size = std::move(size);
  return argument;
}

template <typename Size>
Argument<Size> IntArgument(int64_t value) {
  return SizeArgument<Size>(SizeKind<Size>::Number(value));
}

template <typename Size>
Argument<Size> TextArgument(std::string text) {
  Argument<Size> argument;
  argument.text = std::move(text);
  return argument;
}

// The operation `op` with the arguments `names` of the call.
template <typename Size>
Call<Size> WithArguments(std::string_view op, const Call<Size>& from, std::initializer_list<std::string_view> names) {
  Call<Size> call{op, {}};
  for (const std::string_view name : names) {
    if (const Argument<Size>* argument = from.Find(name)) call.args.emplace_back(name, *argument);
  }
  return call;
}

template <typename Size>
Undone<Size> ByItself(const ShapeInput<Size>& in) {
  return {in.call, true};
}

template <typename Size>
Undone<Size> PermuteBack(const ShapeInput<Size>& in) {
  const Argument<Size>* axes = in.call.Find("axes");
  const size_t rank = axes == nullptr ? 0 : axes->items.size();
  std::vector<int64_t> back(rank, -1);
  for (size_t i = 0; i < rank; ++i) {
    const auto axis = axes->items[i].Int();
    const int64_t from = axis ? *axis + (*axis < 0 ? static_cast<int64_t>(rank) : 0) : -1;
    if (from < 0 || from >= static_cast<int64_t>(rank)) return Undone<Size>::Not("its axes are not numbers");
    back[static_cast<size_t>(from)] = static_cast<int64_t>(i);
  }
  Argument<Size> order;
  for (const int64_t axis : back) order.items.push_back(IntArgument<Size>(axis));
  return {Call<Size>{"permute", {{"axes", std::move(order)}}}};
}

template <typename Size>
Undone<Size> ReorderBack(const ShapeInput<Size>& in) {
  const Argument<Size>* blocks = in.call.Find("blocks");
  const Argument<Size>* axis = in.call.Find("axis");
  const size_t count = blocks == nullptr || axis == nullptr ? 0 : blocks->items.size();
  std::vector<int64_t> back(count, -1);
  for (size_t i = 0; i < count; ++i) {
    const auto block = blocks->items[i].Int();
    if (!block || *block < 0 || *block >= static_cast<int64_t>(count))
      return Undone<Size>::Not("its blocks are not numbers");
    back[static_cast<size_t>(*block)] = static_cast<int64_t>(i);
  }
  Argument<Size> order;
  for (const int64_t block : back) order.items.push_back(IntArgument<Size>(block));
  return {Call<Size>{"reorder", {{"axis", *axis}, {"blocks", std::move(order)}}}};
}

// To the shape before it, of which one size may be open.
template <typename Size>
Undone<Size> ReshapeBack(const ShapeInput<Size>& in) {
  const Dims<Size>& dims = in.tensors[0];
  if (!dims) return Undone<Size>::Not("the shape before it is not known", std::string(kGiveShape));
  Argument<Size> shape;
  size_t open = 0;
  for (const Dim<Size>& dim : *dims) {
    open += dim ? 0 : 1;
    shape.items.push_back(dim ? SizeArgument<Size>(dim) : IntArgument<Size>(-1));
  }
  if (open > 1)
    return Undone<Size>::Not("more than one size of the shape before it is not known", std::string(kGiveShape));
  return {Call<Size>{"reshape", {{"shape", std::move(shape)}}}};
}

template <typename Size>
Undone<Size> SqueezeBack(const ShapeInput<Size>& in) {
  return {WithArguments<Size>("unsqueeze", in.call, {"axis"})};
}
template <typename Size>
Undone<Size> UnsqueezeBack(const ShapeInput<Size>& in) {
  return {WithArguments<Size>("squeeze", in.call, {"axis"})};
}
template <typename Size>
Undone<Size> SplitBack(const ShapeInput<Size>& in) {
  return {WithArguments<Size>("concat", in.call, {"axis"})};
}
template <typename Size>
Undone<Size> UnstackBack(const ShapeInput<Size>& in) {
  return {WithArguments<Size>("stack", in.call, {"axis"})};
}
template <typename Size>
Undone<Size> StackBack(const ShapeInput<Size>& in) {
  return {WithArguments<Size>("unstack", in.call, {"axis"})};
}
template <typename Size>
Undone<Size> DeinterleaveBack(const ShapeInput<Size>& in) {
  return {WithArguments<Size>("interleave", in.call, {"axis", "block"})};
}

template <typename Size>
Undone<Size> UnknownCount() {
  return Undone<Size>::Not(
      "how many tensors it joins is not known",
      "give the tensors' shapes in brackets on both sides, or the range of the gathered capture: `where e in 0..8`");
}

template <typename Size>
Undone<Size> InterleaveBack(const ShapeInput<Size>& in) {
  if (!in.count) return UnknownCount<Size>();
  Call<Size> call = WithArguments<Size>("deinterleave", in.call, {"axis", "block"});
  call.args.insert(call.args.begin() + 1, {"parts", SizeArgument<Size>(in.count)});
  return {std::move(call)};
}

template <typename Size>
Undone<Size> ConcatBack(const ShapeInput<Size>& in) {
  if (!in.count) return UnknownCount<Size>();
  Call<Size> call = WithArguments<Size>("split", in.call, {"axis"});
  Argument<Size> sizes;
  bool equal = true;
  for (size_t t = 0; t < in.tensors.size() && !in.uniform(); ++t) {
    const Dims<Size>& tensor = in.tensors[t];
    const auto given = in.call.Int("axis");
    const int64_t axis = given && tensor ? *given + (*given < 0 ? static_cast<int64_t>(tensor->size()) : 0) : -1;
    const Dim<Size> size =
        axis >= 0 && axis < static_cast<int64_t>(tensor->size()) ? (*tensor)[static_cast<size_t>(axis)] : std::nullopt;
    if (!size) {
      return Undone<Size>::Not(
          "the sizes of its parts are not known",
          "give them in brackets on the left, by parameters or by names that the right side has too");
    }
    equal = equal && (t == 0 || SizeKind<Size>::Equal(*size, *sizes.items[0].size));
    sizes.items.push_back(SizeArgument<Size>(size));
  }
  if (equal)
    call.args.emplace_back("parts", SizeArgument<Size>(in.count));
  else
    call.args.emplace_back("sizes", std::move(sizes));
  return {std::move(call)};
}

template <typename Size>
Undone<Size> PadBack(const ShapeInput<Size>& in) {
  if (const Argument<Size>* mode = in.call.Find("mode"); mode != nullptr && mode->text == "edge")
    return Undone<Size>::Not("there is no proof without reading them that all copies of the edge are equal");
  Call<Size> call = WithArguments<Size>("slice", in.call, {"axis"});
  if (in.call.Find("multiple") != nullptr) {
    const Dims<Size>& dims = in.tensors[0];
    const auto given = in.call.Int("axis");
    const int64_t axis = given && dims ? *given + (*given < 0 ? static_cast<int64_t>(dims->size()) : 0) : -1;
    const Dim<Size> size =
        axis >= 0 && axis < static_cast<int64_t>(dims->size()) ? (*dims)[static_cast<size_t>(axis)] : std::nullopt;
    if (!size)
      return Undone<Size>::Not("the size before it is not known",
                               "give it in brackets on the left, as a number or a parameter");
    call.args.emplace_back("end", SizeArgument<Size>(size));
    return {std::move(call), false, true};
  }
  if (const Argument<Size>* before = in.call.Find("before")) call.args.emplace_back("begin", *before);
  const auto after = in.call.Int("after", 0);
  if (!after) return Undone<Size>::Not("how much stands behind is not a number");
  if (*after != 0) call.args.emplace_back("end", IntArgument<Size>(-*after));
  return {std::move(call), false, true};
}

// The pattern with its sides exchanged, and the sizes that its new left side does not tell.
template <typename Size>
Undone<Size> RearrangeBack(const ShapeInput<Size>& in) {
  const std::string pattern = in.call.Find("pattern") != nullptr ? in.call.Find("pattern")->text : "";
  const auto parsed = ParseRearrangement(pattern);
  const auto* form = std::get_if<Rearrangement>(&parsed);
  if (form == nullptr) return Undone<Size>::Not("its pattern is not written out");
  std::map<std::string, Argument<Size>> sizes;
  for (const auto& [name, argument] : in.call.args) {
    if (name != "pattern") sizes.emplace(name, argument);
  }
  const Dims<Size>& dims = in.tensors[0];
  if (dims && !form->left.ellipsis && dims->size() == form->left.groups.size()) {
    for (size_t i = 0; i < dims->size(); ++i) {
      // The axis of a group whose size is not given: what the others leave.
      Dim<Size> rest = (*dims)[i];
      std::string open;
      for (const EinopsAxis& axis : form->left.groups[i].axes) {
        const auto given = sizes.find(axis.name);
        if (given == sizes.end())
          open = axis.name;
        else
          rest = ShapeWork<Size>::Divide(rest, given->second.size);
      }
      if (!open.empty() && rest) sizes.emplace(open, SizeArgument<Size>(rest));
    }
  }
  const size_t arrow = pattern.find("->");
  const auto trim = [](std::string text) {
    text.erase(0, text.find_first_not_of(' '));
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  Call<Size> call{"rearrange",
                  {{"pattern", TextArgument<Size>(fmt::format("{} -> {}", trim(pattern.substr(arrow + 2)),
                                                              trim(pattern.substr(0, arrow))))}}};
  for (const EinopsGroup& group : form->right.groups) {
    if (group.axes.size() < 2) continue;
    size_t open = 0;
    bool ellipsis = false;
    for (const EinopsAxis& axis : group.axes) {
      const auto size = sizes.find(axis.name);
      ellipsis = ellipsis || axis.name == kEllipsis;
      if (size == sizes.end())
        ++open;
      else
        call.args.emplace_back(axis.name, size->second);
    }
    if (open > 1 || ellipsis)
      return Undone<Size>::Not("the sizes of the axes that it merges are not known",
                               "name them: rearrange(\"…\", name=size)");
  }
  return {std::move(call)};
}

template <typename Size>
Undone<Size> ScaleBack(const ShapeInput<Size>& in) {
  const Argument<Size>* factor = in.call.Find("factor");
  if (factor == nullptr || !factor->number || *factor->number == 0)
    return Undone<Size>::Not("its factor is not written as a number");
  Argument<Size> inverse;
  inverse.number = 1 / *factor->number;
  return {Call<Size>{"scale", {{"factor", std::move(inverse)}}}};
}

template <typename Size>
Undone<Size> BitcastBack(const ShapeInput<Size>& in) {
  const Argument<Size>*to = in.call.Find("to"), *from = in.call.Find("from");
  if (from == nullptr) return Undone<Size>::Not("it does not say from which dtype", "write from=");
  return {Call<Size>{"bitcast", {{"to", *from}, {"from", *to}}}};
}

template <typename Size>
struct NamedInverse {
  std::string_view op;
  InverseRule<Size> rule;
};

template <typename Size>
inline constexpr NamedInverse<Size> kInverses[] = {
    {"transpose", ByItself<Size>},
    {"permute", PermuteBack<Size>},
    {"reshape", ReshapeBack<Size>},
    {"flatten", ReshapeBack<Size>},
    {"squeeze", SqueezeBack<Size>},
    {"unsqueeze", UnsqueezeBack<Size>},
    {"split", SplitBack<Size>},
    {"concat", ConcatBack<Size>},
    {"stack", StackBack<Size>},
    {"unstack", UnstackBack<Size>},
    {"pad", PadBack<Size>},
    {"flip", ByItself<Size>},
    {"interleave", InterleaveBack<Size>},
    {"deinterleave", DeinterleaveBack<Size>},
    {"rearrange", RearrangeBack<Size>},
    {"scale", ScaleBack<Size>},
    {"neg", ByItself<Size>},
    {"bitcast", BitcastBack<Size>},
    {"byteswap", ByItself<Size>},
    {"reorder", ReorderBack<Size>},
};

// nullptr: the operation is not undone (OpSpec::inverse says why).
template <typename Size>
InverseRule<Size> FindInverse(std::string_view op) {
  for (const NamedInverse<Size>& row : kInverses<Size>) {
    if (row.op == op) return row.rule;
  }
  return nullptr;
}

}  // namespace ckmap
