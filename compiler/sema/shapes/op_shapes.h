// What operations do to symbolic shapes. What can never fit, whatever the checkpoint holds, is reported
// where it stands; what only a checkpoint can tell is left to bind.
#pragma once

#include <map>
#include <string>

#include "compiler/sema/expr.h"
#include "compiler/sema/shapes/size.h"
#include "compiler/sema/shapes/tensor_list.h"
#include "runtime/ops/einops.h"

namespace ckmap {

class OpShapes {
 public:
  OpShapes(const VariableTable& variables, DiagnosticSink& sink) : variables_(variables), sink_(sink) {}

  SymbolicDim Size(const TypedExpr& expr) { return SizeOf(expr, variables_); }
  SymbolicShape Map(const TypedOp& op, const SymbolicShape& shape);  // OpArity::kMap
  // OpArity::kReduce, of one innermost list.
  TensorList Join(const TypedOp& op, const TensorList& list);
  TensorList Expand(const TypedOp& op, const TensorList& tensor);  // OpArity::kExpand

 private:
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

  // op_shapes.cc
  SymbolicShape Squeeze(const TypedOp& op, const SymbolicShape& shape);
  SymbolicShape Flatten(const TypedOp& op, const SymbolicShape& shape);
  SymbolicShape Slice(const TypedOp& op, const SymbolicShape& shape);
  SymbolicShape Permute(const TypedOp& op, const SymbolicShape& shape);
  void PermuteProblem(const TypedExpr& where, std::string message, const SymbolicShape& shape);
  SymbolicShape Reshape(const TypedOp& op, const SymbolicShape& shape);

  static SymbolicShape Bitcast(const TypedOp& op, const SymbolicShape& shape);
  SymbolicShape Select(const TypedOp& op, const SymbolicShape& shape);
  SymbolicShape Pad(const TypedOp& op, const SymbolicShape& shape);
  SymbolicShape Repeat(const TypedOp& op, const SymbolicShape& shape);

  // rearrange_shapes.cc
  SymbolicShape Rearrange(const TypedOp& op, const SymbolicShape& shape);
  // Sizes of the names in one group of the left side. False: reported.
  bool RearrangeGroup(const TypedOp& op, const TypedExpr& pattern, const EinopsGroup& group, const SymbolicDim& size,
                      std::map<std::string, SymbolicDim>& sizes);

  // list_shapes.cc
  TensorList Interleave(const TypedOp& op, const TensorList& list, SymbolicShape shape);
  TensorList Deinterleave(const TypedOp& op, const TensorList& tensor, std::optional<size_t> axis, const SymbolicDim& size);
  static SymbolicDim SumAlong(const TensorList& list, size_t axis, const SymbolicDim& count);
  void ConcatProblem(const TypedOp& op, const TensorList& a, const TensorList& b, const std::string& why);
  TensorList SplitSizes(const TypedOp& op, const TensorList& tensor, const TypedExpr& sizes, std::optional<size_t> axis,
                        const SymbolicDim& size);

  const VariableTable& variables_;
  DiagnosticSink& sink_;
};

}  // namespace ckmap
