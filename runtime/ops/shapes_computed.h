// Shape rules of computed operations.
#pragma once

#include "runtime/ops/shape_rule.h"

namespace ckmap {

inline constexpr int64_t kManyOperands = 1'000'000;

// How many operands there are, and what they are. False: a problem.
template <typename Size>
bool CheckOperands(ShapeWork<Size>& work, int64_t least, int64_t most, std::string_view names) {
  const auto count = work.Constant(work.in().count);
  if (!count || (*count >= least && *count <= most)) return true;
  work.Fail({414, fmt::format("`{}` is given {} tensor{}", work.call().op, *count, *count == 1 ? "" : "s"), "",
             fmt::format("its operands are {}", names)});
  return false;
}

// The shape of an operand.
template <typename Size>
const Dims<Size>& Operand(const ShapeInput<Size>& in, size_t i) {
  return in.tensors[in.uniform() ? 0 : std::min(i, in.tensors.size() - 1)];
}

// The number of elements from axis `begin` on, where it is known.
template <typename Size>
Dim<Size> ElementsFrom(const Dims<Size>& dims, size_t begin) {
  if (!dims) return std::nullopt;
  return ShapeWork<Size>::Product(
      std::vector<Dim<Size>>(dims->begin() + static_cast<std::ptrdiff_t>(std::min(begin, dims->size())), dims->end()));
}

template <typename Size>
Shaped<Size> MatmulShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  if (!CheckOperands(work, 2, 2, "two matrices")) return work.Tensor(std::nullopt);
  Dims<Size> left = Operand(in, 0);
  const Dims<Size>& right = Operand(in, 1);
  if (!left || !right) return work.Tensor(std::nullopt);
  const size_t rank = left->size();
  bool fits = rank >= 2 && right->size() == rank && !work.Differ((*left)[rank - 1], (*right)[rank - 2]);
  for (size_t k = 0; fits && k + 2 < rank; ++k) fits = !work.Differ((*left)[k], (*right)[k]);
  if (!fits) {
    work.Fail({415, "`matmul` takes `[…, m, k]` and `[…, k, n]`", "", "transpose one of them: `(b | transpose())`"});
    return work.Tensor(std::nullopt);
  }
  left->back() = right->back();
  return work.Tensor(std::move(left));
}

template <typename Size>
Shaped<Size> LoraMergeShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  if (!CheckOperands(work, 3, 4, "the weight, lora_A, lora_B and, for DoRA, the magnitude"))
    return work.Tensor(std::nullopt);
  const Dims<Size>&weight = Operand(in, 0), &a = Operand(in, 1), &b = Operand(in, 2);
  const Argument<Size>* turned = in.call.Find("fan_in_fan_out");
  if (!weight || !a || !b || (turned != nullptr && !turned->boolean)) return work.Tensor(weight);
  const bool fan_in_first = turned != nullptr && *turned->boolean;
  bool fits = weight->size() >= 2 && !a->empty() && b->size() >= 2 && (!fan_in_first || weight->size() == 2);
  if (fits) {
    const Dim<Size> out = (*weight)[fan_in_first ? 1 : 0],
                    width = fan_in_first ? (*weight)[0] : ElementsFrom(weight, 1);
    fits = !work.Differ(ElementsFrom(a, 1), width) && !work.Differ((*b)[0], out) && !work.Differ((*a)[0], (*b)[1]);
  }
  if (!fits) {
    work.Fail({415,
               fmt::format("`lora_merge` takes a weight `[{}]`, lora_A `[r, in]` and lora_B `[out, r]`",
                           fan_in_first ? "in, out" : "out, in"),
               "",
               fan_in_first ? "leave out fan_in_fan_out if the weight is [out, in]"
                            : "say fan_in_fan_out=true if the weight is [in, out], as that of a Conv1D"});
  }
  return work.Tensor(weight);
}

template <typename Size>
Shaped<Size> WeightNormShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  return work.Tensor(CheckOperands(work, 2, 2, "weight_g and weight_v") ? Operand(in, 1) : std::nullopt);
}

template <typename Size>
Shaped<Size> BatchNormShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  if (!CheckOperands(work, 4, 6, "the weight, gamma, beta, mean, variance and, if there is one, the bias"))
    return work.Tensor(std::nullopt);
  const Argument<Size>*identity = in.call.Find("identity"), *give = in.call.Find("give");
  Dims<Size> weight = Operand(in, 0);
  Dim<Size> channels;
  if (const auto count = work.Constant(in.count); count && (identity != nullptr) != (*count == 4)) {
    work.Fail({414, fmt::format("`fold_batch_norm` is given {} tensors", *count), "",
               "the weight comes first; only with `identity=[…]` there is none, and four are given"});
    weight.reset();
  }
  if (identity != nullptr) {
    if (weight && weight->size() == 1) channels = (*weight)[0];
    weight = std::vector<Dim<Size>>{channels};
    for (const Argument<Size>& size : identity->items) weight->push_back(size.size);
  } else if (weight) {
    if (const auto axis = work.Axis("axis", weight->size(), 0)) channels = (*weight)[*axis];
    for (size_t i = 1; i < in.tensors.size() && !in.uniform(); ++i) {
      const Dims<Size>& one = in.tensors[i];
      if (!one || (one->size() == 1 && !work.Differ((*one)[0], channels))) continue;
      work.Fail({415, "`fold_batch_norm` takes one element for each channel of the weight", "",
                 "the weight comes first; axis= says which of its axes holds the channels"});
      weight.reset();
      channels.reset();
      break;
    }
  }
  Dims<Size> bias = std::vector<Dim<Size>>{channels};
  if (give != nullptr && give->text == "bias") return work.Tensor(std::move(bias));
  if (give != nullptr && give->text == "weight") return work.Tensor(std::move(weight));
  return work.List({std::move(weight), std::move(bias)}, work.Number(2));
}

// dequantize and quantize. `packed`: bits= says that an element of the weight holds several integers.
template <typename Size>
Shaped<Size> ScaledShape(const ShapeInput<Size>& in, bool packed) {
  ShapeWork<Size> work(in);
  if (!CheckOperands(work, 2, 3, "the weight, its scale and, if there is one, its zero point"))
    return work.Tensor(std::nullopt);
  Dims<Size> weight = Operand(in, 0);
  const Dims<Size>& scale = Operand(in, 1);
  if (!weight) return work.Tensor(std::nullopt);
  if (packed && in.call.Find("bits") != nullptr && !weight->empty()) weight->back() = std::nullopt;
  const Argument<Size>* block = in.call.Find("block");
  if (block == nullptr) return work.Tensor(std::move(weight));
  const size_t count = block->items.size();
  if (count != weight->size() || (scale && scale->size() != weight->size() && scale->size() > 1)) {
    work.Fail({415,
               fmt::format("`block` has {} size{}, one for each axis of the weight and of its scale", count,
                           count == 1 ? "" : "s"),
               "", "a block of -1 spans its axis"});
    return work.Tensor(std::nullopt);
  }
  for (size_t k = 0; scale && scale->size() == weight->size() && k < weight->size(); ++k) {
    const auto size = block->items[k].Int(), of = work.Constant((*weight)[k]);
    if (!size || !of || *size < 1) continue;
    const int64_t blocks = *of / *size + (*of % *size != 0 ? 1 : 0);
    if (work.Differ((*scale)[k], work.Number(blocks)))
      work.Fail({415, fmt::format("axis {} of {} in blocks of {} has {} scales", k, *of, *size, blocks)});
  }
  return work.Tensor(std::move(weight));
}

template <typename Size>
Shaped<Size> DequantizeShape(const ShapeInput<Size>& in) {
  return ScaledShape(in, true);
}
template <typename Size>
Shaped<Size> QuantizeShape(const ShapeInput<Size>& in) {
  return ScaledShape(in, false);
}

// `size` in parts of `part`, the last one cut off.
template <typename Size>
Dim<Size> CountParts(const Dim<Size>& size, int64_t part) {
  using Work = ShapeWork<Size>;
  if (const auto number = Work::Constant(size)) return Work::Number(*number / part + (*number % part != 0 ? 1 : 0));
  return Work::Divide(size, Work::Number(part));
}

template <typename Size>
Shaped<Size> AbsmaxShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  Dims<Size> dims = in.tensors[0];
  const Argument<Size>* block = in.call.Find("block");
  // The value of a `json` parameter is a list too.
  if (!dims || block == nullptr || (block->items.size() == 1 && !block->items[0].size))
    return work.Tensor(std::nullopt);
  if (block->items.size() != dims->size()) {
    work.Fail({415,
               fmt::format("`block` has {} size{}, and the tensor {} ax{}", block->items.size(),
                           block->items.size() == 1 ? "" : "s", dims->size(), dims->size() == 1 ? "is" : "es"),
               fmt::format("its shape here is `{}`", DimsText(dims)), "a block of -1 spans its axis", "block"});
    return work.Tensor(std::nullopt);
  }
  for (size_t k = 0; k < dims->size(); ++k) {
    const auto size = block->items[k].Int();
    Dim<Size>& made = (*dims)[k];
    if (size == -1) {
      made = work.Constant(made) == 0 ? made : work.Constant(made) ? work.Number(1) : std::nullopt;
    } else {
      made = size && *size >= 1 ? CountParts(made, *size) : std::nullopt;
    }
  }
  return work.Tensor(std::move(dims));
}

// Sums and the like: an axis of size 1 is repeated.
template <typename Size>
Shaped<Size> PointwiseShape(const ShapeInput<Size>& in, int64_t least, int64_t most, std::string_view names) {
  ShapeWork<Size> work(in);
  if (!CheckOperands(work, least, most, names)) return work.Tensor(std::nullopt);
  Dims<Size> dims = in.tensors[0];
  for (const Dims<Size>& tensor : in.tensors) {
    if (!dims || !tensor) return work.Tensor(std::nullopt);
    bool fits = tensor->size() == dims->size();
    for (size_t k = 0; fits && k < dims->size(); ++k) {
      Dim<Size>& made = (*dims)[k];
      const Dim<Size>& size = (*tensor)[k];
      const bool one = work.Constant(made) == 1, repeated = work.Constant(size) == 1;
      fits = one || repeated || !work.Differ(made, size);
      if (one || (!repeated && !work.Constant(made) && work.Constant(size))) {
        made = size;
      } else if (!repeated && !work.Constant(made) && made && size && !SizeKind<Size>::Equal(*made, *size)) {
        made.reset();  // each of the two may be 1
      }
    }
    if (fits) continue;
    work.Fail({415, fmt::format("`{}` takes tensors of one shape; only an axis of size 1 is repeated", in.call.op), "",
               "write the same name for sizes that are equal, or insert an axis with `unsqueeze`"});
    return work.Tensor(std::nullopt);
  }
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> SumShape(const ShapeInput<Size>& in) {
  return PointwiseShape(in, 2, kManyOperands, "two tensors or more");
}
template <typename Size>
Shaped<Size> SubtractShape(const ShapeInput<Size>& in) {
  return PointwiseShape(in, 2, 2, "two tensors");
}
template <typename Size>
Shaped<Size> UnpackShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  Dims<Size> dims = in.tensors[0];
  const auto bits = in.call.Int("bits");
  if (bits && (*bits < 1 || *bits > 8)) {
    work.Fail({412, fmt::format("`bits` of `unpack` is {}", *bits), "", "fields have 1 to 8 bits", "bits"});
    return work.Tensor(std::nullopt);
  }
  const auto axis = dims ? work.Axis("axis", dims->size(), -1) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  Dim<Size>& size = (*dims)[*axis];
  const Argument<Size>* order = in.call.Find("order");
  const auto fields = in.call.Int("fields", 0);
  const bool whole = in.dtype && bits && fields && (IsInteger(*in.dtype) || DTypeBits(*in.dtype) == 8);
  if (fields && *fields > 0) {
    size = Work::Multiply(size, Work::Number(*fields));
  } else if (whole && order != nullptr && order->text == "high") {
    size = Work::Multiply(size, Work::Number(DTypeBits(*in.dtype) / *bits));
  } else if (whole && DTypeBits(*in.dtype) % *bits == 0) {
    size = Work::Multiply(size, Work::Number(DTypeBits(*in.dtype) / *bits));
  } else if (const auto words = Work::Constant(size); whole && words) {
    size = Work::Number(*words * DTypeBits(*in.dtype) / *bits);
  } else {
    size = std::nullopt;
  }
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> PackShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  Dims<Size> dims = in.tensors[0];
  const auto bits = in.call.Int("bits");
  if (bits && (*bits < 1 || *bits > 8)) {
    work.Fail({412, fmt::format("`bits` of `pack` is {}", *bits), "", "fields have 1 to 8 bits", "bits"});
    return work.Tensor(std::nullopt);
  }
  const auto axis = dims ? work.Axis("axis", dims->size(), -1) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  Dim<Size>& size = (*dims)[*axis];
  const Argument<Size>*to = in.call.Find("to"), *order = in.call.Find("order");
  const auto word = to == nullptr ? std::nullopt : ParseDType(to->text);
  const auto fields = in.call.Int("fields", 0);
  const auto numbers = Work::Constant(size);
  if (!bits || !fields || !word || !IsInteger(*word)) {
    size = std::nullopt;
  } else if (*fields > 0) {
    size = CountParts(size, *fields);
  } else if ((order != nullptr && order->text == "high") || DTypeBits(*word) % *bits == 0) {
    size = CountParts(size, DTypeBits(*word) / *bits);
  } else if (int64_t all = 0; numbers && !__builtin_mul_overflow(*numbers, *bits, &all)) {
    size = CountParts(Work::Number(all), DTypeBits(*word));
  } else {
    size = std::nullopt;
  }
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> ConstantShape(const ShapeInput<Size>& in) {
  using Work = ShapeWork<Size>;
  Work work(in);
  const Argument<Size>* values = in.call.Find("values");
  // The value of a `json` parameter is a list too.
  const bool known =
      values != nullptr && (values->items.size() > 1 || (values->items.size() == 1 && values->items[0].size));
  return work.Tensor(
      std::vector<Dim<Size>>{known ? Work::Number(static_cast<int64_t>(values->items.size())) : std::nullopt});
}

template <typename Size>
Shaped<Size> TakeShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  if (!CheckOperands(work, 2, 2, "the table and the indices")) return work.Tensor(std::nullopt);
  const Dims<Size>&table = Operand(in, 0), &indices = Operand(in, 1);
  const auto axis = table ? work.Axis("axis", table->size(), 0) : std::nullopt;
  if (!axis || !indices) return work.Tensor(std::nullopt);
  const auto at = table->begin() + static_cast<std::ptrdiff_t>(*axis);
  std::vector<Dim<Size>> made(table->begin(), at);
  made.insert(made.end(), indices->begin(), indices->end());
  made.insert(made.end(), at + 1, table->end());
  return work.Tensor(std::move(made));
}

template <typename Size>
Shaped<Size> MeanShape(const ShapeInput<Size>& in) {
  return PointwiseShape(in, 1, kManyOperands, "tensors");
}

template <typename Size>
Shaped<Size> ReduceMeanShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  Dims<Size> dims = in.tensors[0];
  const auto axis = dims ? work.Axis("axis", dims->size()) : std::nullopt;
  if (!axis) return work.Tensor(std::nullopt);
  (*dims)[*axis] = work.Number(1);
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> InterpolateShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  Dims<Size> dims = in.tensors[0];
  const Argument<Size>* size = in.call.Find("size");
  const size_t count = size == nullptr ? 0 : size->items.size();
  if (!dims) return work.Tensor(std::nullopt);
  if (count < 1 || count > 2 || count > dims->size()) {
    work.Fail({415, fmt::format("{} sizes for the last axes of `{}`", count, DimsText(dims)), "",
               "one size resizes the last axis, two the last two"});
    return work.Tensor(std::nullopt);
  }
  for (size_t k = 0; k < count; ++k) (*dims)[dims->size() - count + k] = size->items[k].size;
  return work.Tensor(std::move(dims));
}

template <typename Size>
Shaped<Size> NormalizeShape(const ShapeInput<Size>& in) {
  ShapeWork<Size> work(in);
  const Argument<Size>* axes = in.call.Find("axes");
  const Dims<Size>& dims = in.tensors[0];
  const auto rank = dims ? static_cast<int64_t>(dims->size()) : 0;
  for (size_t i = 0; dims && axes != nullptr && i < axes->items.size(); ++i) {
    const auto axis = axes->items[i].Int();
    if (!axis || (*axis >= -rank && *axis < rank)) continue;
    work.Fail({402, fmt::format("axis {} of a tensor of {} ax{}", *axis, rank, rank == 1 ? "is" : "es"),
               fmt::format("its shape here is `{}`", DimsText(dims)), "", "axes", i});
  }
  return work.Tensor(dims);
}

}  // namespace ckmap
