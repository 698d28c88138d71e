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
  static TensorList ResultOf(Shaped<Polynomial> shaped, Span span);

  const VariableTable& variables_;
  DiagnosticSink& sink_;
  bool all_proved_ = true;
};

}  // namespace ckmap
