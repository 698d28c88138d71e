// What operations do to symbolic shapes. What can never fit, whatever the checkpoint holds, is reported
// where it stands; what only a checkpoint can tell is left to bind.
#pragma once

#include <string>

#include "compiler/sema/expr.h"
#include "compiler/sema/shapes/polynomial_size.h"
#include "compiler/sema/shapes/size.h"
#include "compiler/sema/shapes/tensor_list.h"
#include "runtime/ops/shape_rule.h"

namespace ckmap {

class OpShapes {
 public:
  OpShapes(const VariableTable& variables, DiagnosticSink& sink) : variables_(variables), sink_(sink) {}

  SymbolicDim Size(const TypedExpr& expr) { return SizeOf(expr, variables_); }
  SymbolicShape Map(const TypedOp& op, const SymbolicShape& shape);  // OpArity::kMap
  // OpArity::kReduce, of one innermost list.
  TensorList Join(const TypedOp& op, const TensorList& list);
  TensorList Expand(const TypedOp& op, const TensorList& tensor);  // OpArity::kExpand
  bool all_proved() const { return all_proved_; }  // sizes that must be equal are so, whatever their names stand for

 private:
  bool TooLarge(const TypedOp& op, const SymbolicShape& shape);  // reported where it is

  // What the operation's rule says; a problem is reported. `list`: the tensors of a join.
  Shaped<Polynomial> Apply(const TypedOp& op, std::vector<SymbolicShape> tensors, const TensorList* list);
  Argument<Polynomial> ArgumentOf(const TypedExpr& expr);
  void Report(const TypedOp& op, const ShapeProblem& problem, const TensorList* list);

  // computed_shapes.cc
  SymbolicShape ComputedMap(const TypedOp& op, const SymbolicShape& shape);
  TensorList Combine(const TypedOp& op, const TensorList& list);
  SymbolicShape Matmul(const TypedOp& op, const TensorList& list, SymbolicShape left, const SymbolicShape& right);
  SymbolicShape LoraMerge(const TypedOp& op, const TensorList& list, SymbolicShape weight, const SymbolicShape& a,
                          const SymbolicShape& b);
  SymbolicShape Scaled(const TypedOp& op, const TensorList& list, SymbolicShape weight, const SymbolicShape& scale);
  TensorList BatchNorm(const TypedOp& op, const TensorList& list, SymbolicShape weight);
  SymbolicShape Pointwise(const TypedOp& op, const TensorList& list);
  void OperandProblem(const TypedOp& op, const TensorList& list, std::string message, std::string help);
  // The axis of an argument, counted from the front; nullopt if unknown or reported.
  std::optional<size_t> Axis(const TypedOp& op, std::string_view name, size_t rank, const SymbolicShape& shape,
                             std::optional<int64_t> otherwise = {});

  const VariableTable& variables_;
  DiagnosticSink& sink_;
  bool all_proved_ = true;
};

}  // namespace ckmap
