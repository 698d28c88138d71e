// Symbolic shapes of computed operations (runtime/bind/*_ops.cc does the same with numbers).
#include <algorithm>

#include <fmt/format.h>

#include "compiler/sema/shapes/op_shapes.h"

namespace ckmap {
namespace {

// Whether two sizes can be equal, as far as is known.
bool MayEqual(const SymbolicDim& a, const SymbolicDim& b) {
  return !a || !b || !Polynomial::NeverEqual(*a, *b);
}

// The number of elements, where it is known.
SymbolicDim Elements(const SymbolicShape& shape, size_t begin = 0) {
  SymbolicDim product = shape ? SymbolicDim(Polynomial(1)) : std::nullopt;
  for (size_t k = begin; shape && k < shape->size(); ++k) {
    product = product && (*shape)[k] ? Polynomial::Multiply(*product, *(*shape)[k]) : std::nullopt;
  }
  return product;
}

// How many operands an operation has, and what they are.
struct OperandRule {
  std::string_view op;
  int64_t least, most;
  std::string_view names;
};

constexpr int64_t kMany = 1'000'000;
constexpr OperandRule kRules[] = {
    {"matmul", 2, 2, "two matrices"},
    {"lora_merge", 3, 4, "the weight, lora_A, lora_B and, for DoRA, the magnitude"},
    {"fold_weight_norm", 2, 2, "weight_g and weight_v"},
    {"fold_batch_norm", 4, 6,
     "the weight, gamma, beta, mean, variance and, if there is one, the bias"},
    {"dequantize", 2, 3, "the weight, its scale and, if there is one, its zero point"},
    {"quantize", 2, 3, "the weight, its scale and, if there is one, its zero point"},
    {"sum", 2, kMany, "two tensors or more"},
    {"subtract", 2, 2, "two tensors"},
    {"multiply", 2, kMany, "two tensors or more"},
    {"mean", 1, kMany, "tensors"},
};

}  // namespace

void OpShapes::OperandProblem(const TypedOp& op, const TensorList& list, std::string message,
                              std::string help) {
  auto report = sink_.Report(DiagnosticKind::kOperandShapes, op.name_span, std::move(message))
                    .Help(std::move(help));
  for (const TensorList& item : list.items)
    static_cast<void>(std::move(report).With(item.span, ShapeText(item.shape)));
  std::move(report).Emit();
}

TensorList OpShapes::Combine(const TypedOp& op, const TensorList& list) {
  const TensorList unknown = TensorList::Tensor(std::nullopt, list.span);
  const auto rule = std::find_if(std::begin(kRules), std::end(kRules),
                                 [&](const OperandRule& r) { return r.op == op.spec->name; });
  if (rule != std::end(kRules) && list.count &&
      (*list.count < rule->least || *list.count > rule->most)) {
    sink_
        .Report(DiagnosticKind::kOperandCount, op.name_span,
                fmt::format("`{}` is given {} tensor{}", op.spec->name, *list.count,
                            *list.count == 1 ? "" : "s"))
        .With(list.span, "this is the list")
        .Help(fmt::format("its operands are {}", rule->names))
        .Emit();
    return unknown;
  }
  const auto shape_of = [&](size_t i) {
    return list.items[list.uniform() ? 0 : std::min(i, list.items.size() - 1)].shape;
  };
  const std::string_view name = op.spec->name;
  SymbolicShape shape;
  if (name == "matmul") {
    shape = Matmul(op, list, shape_of(0), shape_of(1));
  } else if (name == "lora_merge") {
    shape = LoraMerge(op, list, shape_of(0), shape_of(1), shape_of(2));
  } else if (name == "fold_weight_norm") {
    shape = shape_of(1);
  } else if (name == "fold_batch_norm") {
    return BatchNorm(op, list, shape_of(0));
  } else if (name == "dequantize" || name == "quantize") {
    shape = Scaled(op, list, shape_of(0), shape_of(1));
  } else {
    shape = Pointwise(op, list);
  }
  return TensorList::Tensor(std::move(shape), op.span);
}

SymbolicShape OpShapes::Matmul(const TypedOp& op, const TensorList& list, SymbolicShape left,
                               const SymbolicShape& right) {
  if (!left || !right) return std::nullopt;
  const size_t rank = left->size();
  if (rank < 2 || right->size() != rank || !MayEqual((*left)[rank - 1], (*right)[rank - 2])) {
    OperandProblem(op, list, "`matmul` takes `[…, m, k]` and `[…, k, n]`",
                   "transpose one of them: `(b | transpose())`");
    return std::nullopt;
  }
  left->back() = right->back();
  return left;
}

SymbolicShape OpShapes::LoraMerge(const TypedOp& op, const TensorList& list, SymbolicShape weight,
                                  const SymbolicShape& a, const SymbolicShape& b) {
  const TypedExpr* turned = op.Find("fan_in_fan_out");
  const bool known = turned == nullptr || turned->kind == TypedExpr::Kind::kBool;
  if (!weight || !a || !b || !known) return weight;
  const bool fan_in_first = turned != nullptr && turned->boolean;
  const bool ranks = weight->size() >= 2 && !a->empty() && b->size() >= 2 &&
                     (!fan_in_first || weight->size() == 2);
  const SymbolicDim out = ranks ? (*weight)[fan_in_first ? 1 : 0] : std::nullopt;
  const SymbolicDim in = ranks ? (fan_in_first ? (*weight)[0] : Elements(weight, 1)) : std::nullopt;
  if (ranks && MayEqual(Elements(a, 1), in) && MayEqual((*b)[0], out) && MayEqual((*a)[0], (*b)[1]))
    return weight;
  OperandProblem(
      op, list,
      fmt::format("`lora_merge` takes a weight `[{}]`, lora_A `[r, in]` and lora_B `[out, r]`",
                  fan_in_first ? "in, out" : "out, in"),
      fan_in_first ? "leave out fan_in_fan_out if the weight is [out, in]"
                   : "say fan_in_fan_out=true if the weight is [in, out], as that of a Conv1D");
  return std::nullopt;
}

SymbolicShape OpShapes::Scaled(const TypedOp& op, const TensorList& list, SymbolicShape weight,
                               const SymbolicShape& scale) {
  if (!weight) return std::nullopt;
  if (op.Find("bits") != nullptr && !weight->empty()) weight->back() = std::nullopt;
  const TypedExpr* block = op.Find("block");
  if (block == nullptr) return weight;
  const bool fits = block->args.size() == weight->size() &&
                    (!scale || scale->size() == weight->size() || scale->size() <= 1);
  if (!fits) {
    OperandProblem(
        op, list,
        fmt::format("`block` has {} size{}, one for each axis of the weight and of its scale",
                    block->args.size(), block->args.size() == 1 ? "" : "s"),
        "a block of -1 spans its axis");
    return std::nullopt;
  }
  for (size_t k = 0; scale && scale->size() == weight->size() && k < weight->size(); ++k) {
    const auto size = EvaluateInt(block->args[k], variables_);
    const auto of = (*weight)[k] ? (*weight)[k]->AsConstant() : std::nullopt;
    if (!size || !of || *size < 1 || MayEqual((*scale)[k], Polynomial((*of + *size - 1) / *size)))
      continue;
    OperandProblem(op, list,
                   fmt::format("axis {} of {} in blocks of {} has {} scales", k, *of, *size,
                               (*of + *size - 1) / *size),
                   "");
    return std::nullopt;
  }
  return weight;
}

TensorList OpShapes::BatchNorm(const TypedOp& op, const TensorList& list, SymbolicShape weight) {
  const TypedExpr* identity = op.Find("identity");
  if (list.count && (identity != nullptr) != (*list.count == 4)) {
    sink_
        .Report(DiagnosticKind::kOperandCount, op.name_span,
                fmt::format("`fold_batch_norm` is given {} tensors", *list.count))
        .With(list.span, "this is the list")
        .Help("the weight comes first; only with `identity=[…]` there is none, and four are given")
        .Emit();
    weight = std::nullopt;
  }
  SymbolicDim channels = std::nullopt;
  if (identity != nullptr) {
    channels = weight && weight->size() == 1 ? (*weight)[0] : std::nullopt;
    std::vector<SymbolicDim> dims = {channels};
    for (const TypedExpr& size : identity->args) dims.push_back(Size(size));
    weight = std::move(dims);
  } else if (weight) {
    if (const auto axis = Axis(op, "axis", weight->size(), weight, 0)) channels = (*weight)[*axis];
    for (size_t i = 1; i < list.items.size() && !list.uniform(); ++i) {
      const SymbolicShape& shape = list.items[i].shape;
      if (!shape || (shape->size() == 1 && MayEqual((*shape)[0], channels))) continue;
      OperandProblem(op, list, "`fold_batch_norm` takes one element for each channel of the weight",
                     "the weight comes first; axis= says which of its axes holds the channels");
      weight = std::nullopt;
      channels = std::nullopt;
      break;
    }
  }
  TensorList bias = TensorList::Tensor(std::vector<SymbolicDim>{channels}, op.span);
  TensorList kernel = TensorList::Tensor(std::move(weight), op.span);
  const TypedExpr* give = op.Find("give");
  if (give != nullptr && give->text == "bias") return bias;
  if (give != nullptr && give->text == "weight") return kernel;
  return TensorList::List({std::move(kernel), std::move(bias)}, 2, op.span);
}

SymbolicShape OpShapes::Pointwise(const TypedOp& op, const TensorList& list) {
  SymbolicShape shape = list.items[0].shape;
  for (const TensorList& item : list.items) {
    if (!shape || !item.shape) return std::nullopt;
    bool fits = item.shape->size() == shape->size();
    for (size_t k = 0; fits && k < shape->size(); ++k) {
      SymbolicDim& made = (*shape)[k];
      const SymbolicDim& size = (*item.shape)[k];
      const bool one = made && made->AsConstant() == 1, repeated = size && size->AsConstant() == 1;
      fits = one || repeated || MayEqual(made, size);
      if (one) made = size;
    }
    if (fits) continue;
    OperandProblem(
        op, list,
        fmt::format("`{}` takes tensors of one shape; only an axis of size 1 is repeated",
                    op.spec->name),
        "write the same name for sizes that are equal, or insert an axis with `unsqueeze`");
    return std::nullopt;
  }
  return shape;
}

SymbolicShape OpShapes::ComputedMap(const TypedOp& op, const SymbolicShape& shape) {
  if (!shape) return std::nullopt;
  std::vector<SymbolicDim> dims = *shape;
  if (op.spec->name == "reduce_mean") {
    const auto axis = Axis(op, "axis", dims.size(), shape);
    if (!axis) return std::nullopt;
    dims[*axis] = Polynomial(1);
  } else if (op.spec->name == "interpolate") {
    const TypedExpr* size = op.Find("size");
    const size_t count = size == nullptr ? 0 : size->args.size();
    if (count < 1 || count > 2 || count > dims.size()) {
      sink_
          .Report(DiagnosticKind::kOperandShapes, op.span,
                  fmt::format("{} sizes for the last axes of `{}`", count, ShapeText(shape)))
          .Help("one size resizes the last axis, two the last two")
          .Emit();
      return std::nullopt;
    }
    for (size_t k = 0; k < count; ++k) dims[dims.size() - count + k] = Size(size->args[k]);
  } else if (const TypedExpr* axes = op.Find("axes")) {
    for (const TypedExpr& item : axes->args) {
      const auto axis = EvaluateInt(item, variables_);
      const auto rank = static_cast<int64_t>(dims.size());
      if (!axis || (*axis >= -rank && *axis < rank)) continue;
      sink_
          .Report(
              DiagnosticKind::kAxisRange, item.span,
              fmt::format("axis {} of a tensor of {} ax{}", *axis, rank, rank == 1 ? "is" : "es"))
          .Note(fmt::format("its shape here is `{}`", ShapeText(shape)))
          .Emit();
      return std::nullopt;
    }
  }
  return dims;
}

// The axis of an argument, counted from the front; nullopt if unknown or reported.
std::optional<size_t> OpShapes::Axis(const TypedOp& op, std::string_view name, size_t rank, const SymbolicShape& shape, std::optional<int64_t> otherwise) {
  const TypedExpr* expr = op.Find(name);
  const std::optional<int64_t> value = expr != nullptr ? EvaluateInt(*expr, variables_) : otherwise;
  if (!value) return std::nullopt;
  const auto count = static_cast<int64_t>(rank);
  if (*value >= -count && *value < count) return static_cast<size_t>(*value < 0 ? *value + count : *value);
  sink_.Report(DiagnosticKind::kAxisRange, expr != nullptr ? expr->span : op.span,
               fmt::format("axis {} of a tensor of {} ax{}", *value, shape->size(), shape->size() == 1 ? "is" : "es"))
      .Note(fmt::format("its shape here is `{}`", ShapeText(shape)))
      .Help(count == 0 ? "" : fmt::format("axes are {} to {}, or {} to -1 from the end", 0, count - 1, -count))
      .Emit();
  return std::nullopt;
}

}  // namespace ckmap
