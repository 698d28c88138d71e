#include "compiler/sema/shapes/op_shapes.h"

#include <algorithm>

#include <fmt/format.h>

namespace ckmap {

TensorList OpShapes::Join(const TypedOp& op, const TensorList& list) {
  if (op.spec->kind == OpKind::kComputed) return Combine(op, list);
  SymbolicShape shape = list.items[0].shape;
  const bool stack = op.spec->name == "stack";
  for (const TensorList& item : list.items) {
    if (!shape || !item.shape) return TensorList::Tensor(std::nullopt, list.span);
    if (shape->size() == item.shape->size()) continue;
    ConcatProblem(op, list.items[0], item, "they have different ranks");
    return TensorList::Tensor(std::nullopt, list.span);
  }
  const std::optional<size_t> axis = Axis(op, "axis", shape->size() + (stack ? 1 : 0), shape);
  if (!axis) return TensorList::Tensor(std::nullopt, list.span);
  for (const TensorList& item : list.items) {
    for (size_t i = 0; i < shape->size(); ++i) {
      const SymbolicDim& a = (*shape)[i];
      const SymbolicDim& b = (*item.shape)[i];
      if ((op.spec->name == "concat" && i == *axis) || !a || !b || !Polynomial::NeverEqual(*a, *b)) continue;
      ConcatProblem(op, list.items[0], item, fmt::format("axis {} is `{}` and `{}`", i, a->Text(), b->Text()));
      return TensorList::Tensor(std::nullopt, list.span);
    }
  }
  const SymbolicDim count = list.count ? SymbolicDim(Polynomial(*list.count)) : std::nullopt;
  if (op.spec->name == "interleave") return Interleave(op, list, std::move(shape));
  if (stack) {
    shape->insert(shape->begin() + static_cast<std::ptrdiff_t>(*axis), count);
  } else {
    (*shape)[*axis] = SumAlong(list, *axis, count);
  }
  return TensorList::Tensor(std::move(shape), list.span);
}

// The shapes were found to agree.
TensorList OpShapes::Interleave(const TypedOp& op, const TensorList& list, SymbolicShape shape) {
  const std::optional<size_t> axis = Axis(op, "axis", shape->size(), shape);
  if (!axis) return TensorList::Tensor(std::nullopt, list.span);
  SymbolicDim& size = (*shape)[*axis];
  const TypedExpr* block = op.Find("block");
  const auto step = block != nullptr ? EvaluateInt(*block, variables_) : std::nullopt;
  const auto known = size ? size->AsConstant() : std::nullopt;
  if (step && known && *step > 0 && *known % *step != 0) {
    sink_.Report(DiagnosticKind::kArgumentValue, block->span, fmt::format("axis {} of size {} is not made of blocks of {}", *axis, *known, *step)).Emit();
  }
  size = size && list.count ? Polynomial::Multiply(*size, Polynomial(*list.count)) : std::nullopt;
  return TensorList::Tensor(std::move(shape), list.span);
}

TensorList OpShapes::Deinterleave(const TypedOp& op, const TensorList& tensor, std::optional<size_t> axis, const SymbolicDim& size) {
  const TypedExpr* parts = op.Find("parts");
  const TypedExpr* block = op.Find("block");
  const SymbolicDim count = parts != nullptr ? Size(*parts) : std::nullopt;
  const std::optional<int64_t> number = count ? count->AsConstant() : std::nullopt;
  const auto step = block != nullptr ? EvaluateInt(*block, variables_) : std::optional<int64_t>(1);
  const auto known = size ? size->AsConstant() : std::nullopt;
  const auto period = number && step ? IntegerOp("*", *number, *step) : std::nullopt;
  if (period && known && *period > 0 && *known % *period != 0) {
    sink_.Report(DiagnosticKind::kSplitSizes, parts->span, fmt::format("axis {} of size {} is not made of {} parts in blocks of {}", *axis, *known, *number, *step)).Emit();
  }
  SymbolicShape shape = axis ? tensor.shape : std::nullopt;
  if (shape) (*shape)[*axis] = size && count ? Polynomial::Divide(*size, *count) : std::nullopt;
  return TensorList::List({TensorList::Tensor(std::move(shape), op.span)}, number, op.span);
}

SymbolicDim OpShapes::SumAlong(const TensorList& list, size_t axis, const SymbolicDim& count) {
  const SymbolicDim first = (*list.items[0].shape)[axis];
  if (list.uniform()) return first && count ? Polynomial::Multiply(*first, *count) : std::nullopt;
  SymbolicDim sum = Polynomial(0);
  for (const TensorList& item : list.items) {
    const SymbolicDim& dim = (*item.shape)[axis];
    sum = sum && dim ? Polynomial::Add(*sum, *dim) : std::nullopt;
  }
  return sum;
}

void OpShapes::ConcatProblem(const TypedOp& op, const TensorList& a, const TensorList& b, const std::string& why) {
  sink_.Report(DiagnosticKind::kConcatShapes, op.name_span, fmt::format("`{}` joins tensors of different shapes", op.spec->name))
      .With(a.span, ShapeText(a.shape))
      .With(b.span, ShapeText(b.shape))
      .Note(why)
      .Help("write the same name for sizes that are equal")
      .Emit();
}

TensorList OpShapes::Expand(const TypedOp& op, const TensorList& tensor) {
  const std::optional<size_t> axis = tensor.shape ? Axis(op, "axis", tensor.shape->size(), tensor.shape) : std::nullopt;
  const SymbolicDim size = axis ? (*tensor.shape)[*axis] : std::nullopt;
  if (op.spec->name == "unstack") {
    SymbolicShape shape = axis ? tensor.shape : std::nullopt;
    if (shape) shape->erase(shape->begin() + static_cast<std::ptrdiff_t>(*axis));
    return TensorList::List({TensorList::Tensor(std::move(shape), tensor.span)}, size ? size->AsConstant() : std::nullopt, op.span);
  }
  if (op.spec->name == "deinterleave") return Deinterleave(op, tensor, axis, size);
  if (const TypedExpr* sizes = op.Find("sizes")) return SplitSizes(op, tensor, *sizes, axis, size);
  const TypedExpr* parts = op.Find("parts");
  SymbolicDim count = parts != nullptr ? Size(*parts) : std::nullopt;
  const std::optional<int64_t> number = count ? count->AsConstant() : std::nullopt;
  if (number && *number < 1) {
    sink_.Report(DiagnosticKind::kSplitSizes, parts->span, fmt::format("a split in {} parts", *number)).Emit();
    return TensorList::List({TensorList::Tensor(std::nullopt, op.span)}, std::nullopt, op.span);
  }
  SymbolicShape shape = axis ? tensor.shape : std::nullopt;
  if (shape) (*shape)[*axis] = size && count ? Polynomial::Divide(*size, *count) : std::nullopt;
  if (number && size && size->AsConstant() && *size->AsConstant() % *number != 0) {
    sink_.Report(DiagnosticKind::kSplitSizes, parts->span, fmt::format("{} does not divide by {}", size->Text(), *number)).Emit();
  }
  return TensorList::List({TensorList::Tensor(std::move(shape), op.span)}, number, op.span);
}

TensorList OpShapes::SplitSizes(const TypedOp& op, const TensorList& tensor, const TypedExpr& sizes, std::optional<size_t> axis, const SymbolicDim& size) {
  std::vector<TensorList> parts;
  SymbolicDim sum = Polynomial(0);
  for (const TypedExpr& part : sizes.args) {
    const SymbolicDim value = Size(part);
    sum = sum && value ? Polynomial::Add(*sum, *value) : std::nullopt;
    SymbolicShape shape = axis ? tensor.shape : std::nullopt;
    if (shape) (*shape)[*axis] = value;
    parts.push_back(TensorList::Tensor(std::move(shape), op.span));
  }
  if (size && sum && Polynomial::NeverEqual(*size, *sum)) {
    sink_.Report(DiagnosticKind::kSplitSizes, sizes.span, fmt::format("the sizes add up to `{}`, and axis {} has `{}`", sum->Text(), *axis, size->Text())).Emit();
  }
  const auto count = static_cast<int64_t>(parts.size());
  if (parts.empty()) parts.push_back(TensorList::Tensor(std::nullopt, op.span));
  return TensorList::List(std::move(parts), count, op.span);
}

}  // namespace ckmap
