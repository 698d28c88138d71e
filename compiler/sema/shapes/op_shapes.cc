#include "compiler/sema/shapes/op_shapes.h"

#include <fmt/format.h>

#include "compiler/sema/op_arguments.h"
#include "runtime/ops/shape_rules.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

Argument<Polynomial> OpShapes::ArgumentOf(const TypedExpr& expr) {
  Argument<Polynomial> argument;
  if (expr.kind == TypedExpr::Kind::kText) argument.text = expr.text;
  if (expr.kind == TypedExpr::Kind::kBool) argument.boolean = expr.boolean;
  if (expr.kind != TypedExpr::Kind::kList) argument.size = Size(expr);
  for (const TypedExpr& item : expr.args) {
    if (expr.kind == TypedExpr::Kind::kList) argument.items.push_back(ArgumentOf(item));
  }
  return argument;
}

Shaped<Polynomial> OpShapes::Apply(const TypedOp& op, std::vector<SymbolicShape> tensors, const TensorList* list) {
  Call<Polynomial> call{op.spec->name, {}};
  for (const auto& [name, value] : op.args) call.args.emplace_back(name, ArgumentOf(value));
  ShapeInput<Polynomial> input{call, std::move(tensors)};
  if (list != nullptr && list->count) input.count = Polynomial(*list->count);
  Shaped<Polynomial> shaped = FindShapeRule<Polynomial>(op.spec->name)(input);
  all_proved_ = all_proved_ && shaped.proved;
  if (shaped.problem) Report(op, *shaped.problem, list);
  return shaped;
}

void OpShapes::Report(const TypedOp& op, const ShapeProblem& problem, const TensorList* list) {
  if (problem.code >= 1200) return;  // the binder knows more, and reports it
  const TypedExpr* argument = op.Find(problem.argument);
  const bool of_all = list != nullptr && problem.code == static_cast<int>(DiagnosticKind::kOperandShapes);
  const bool of_list = list != nullptr && problem.code == static_cast<int>(DiagnosticKind::kOperandCount);
  Span span = problem.other || of_all || of_list ? op.name_span : argument != nullptr ? argument->span : op.span;
  if (argument != nullptr && problem.item) span = argument->args[*problem.item].span;
  if (argument != nullptr && problem.length > 0) span = InsideText(*argument, problem.at, problem.length);
  auto report = sink_.Report(static_cast<DiagnosticKind>(problem.code), span, problem.message);
  if (problem.other && list != nullptr) {
    for (const size_t item : {size_t{0}, *problem.other}) {
      static_cast<void>(std::move(report).With(list->items[item].span, ShapeText(list->items[item].shape)));
    }
  }
  if (of_list) static_cast<void>(std::move(report).With(list->span, "this is the list"));
  for (size_t i = 0; of_all && i < list->items.size(); ++i) {
    static_cast<void>(std::move(report).With(list->items[i].span, ShapeText(list->items[i].shape)));
  }
  if (!problem.note.empty()) static_cast<void>(std::move(report).Note(problem.note));
  std::move(report).Help(problem.help).Emit();
}

// More elements than a tensor can have: the binder would refuse every tensor of this shape.
bool OpShapes::TooLarge(const TypedOp& op, const SymbolicShape& shape) {
  Shape sizes;
  for (size_t i = 0; shape && i < shape->size(); ++i) {
    const auto size = (*shape)[i] ? (*shape)[i]->AsConstant() : std::nullopt;
    if (!size || *size < 0) return false;
    sizes.push_back(*size);
  }
  if (!shape || NumElements(sizes)) return false;
  sink_
      .Report(
          DiagnosticKind::kReshapeProduct, op.span,
          fmt::format("`{}` has more elements than 2^62, which is the most that a tensor can have", ShapeText(shape)))
      .Emit();
  return true;
}

SymbolicShape OpShapes::Map(const TypedOp& op, const SymbolicShape& shape) {
  if (TooLarge(op, shape)) return std::nullopt;
  SymbolicShape result = Apply(op, {shape}, nullptr).tensors[0];
  return TooLarge(op, result) ? std::nullopt : std::move(result);
}

TensorList OpShapes::Join(const TypedOp& op, const TensorList& list) {
  std::vector<SymbolicShape> tensors;
  for (const TensorList& item : list.items) tensors.push_back(item.shape);
  Shaped<Polynomial> shaped = Apply(op, std::move(tensors), &list);
  for (SymbolicShape& result : shaped.tensors) {
    if (TooLarge(op, result)) result = std::nullopt;
  }
  return ResultOf(std::move(shaped), op.spec->kind == OpKind::kComputed ? op.span : list.span);
}

TensorList OpShapes::ResultOf(Shaped<Polynomial> shaped, Span span) {
  std::vector<TensorList> parts;
  for (SymbolicShape& part : shaped.tensors) parts.push_back(TensorList::Tensor(std::move(part), span));
  if (!shaped.list) return std::move(parts[0]);
  return TensorList::List(std::move(parts), shaped.count ? shaped.count->AsConstant() : std::nullopt, span);
}

TensorList OpShapes::Expand(const TypedOp& op, const TensorList& tensor) {
  if (TooLarge(op, tensor.shape)) return ResultOf(Shaped<Polynomial>::List({std::nullopt}, std::nullopt), op.span);
  return ResultOf(Apply(op, {tensor.shape}, nullptr), op.span);
}

}  // namespace ckmap
