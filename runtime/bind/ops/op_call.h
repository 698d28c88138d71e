// One call of an operation while a plan is bound: its arguments by name, and what the functions that carry
// operations out share.
#pragma once

#include <optional>

#include "runtime/bind/values/tensor_expr.h"
#include "runtime/ops/op_table.h"

namespace ckmap {

class OpCall {
 public:
  // `parts_hint`: how many tensors the other side's innermost list names; 0 if unknown.
  OpCall(const plan::Op& op, const Scope& scope, size_t parts_hint) : op_(op), scope_(scope), parts_hint_(parts_hint) {}

  const std::string& name() const { return op_.name(); }
  const plan::Op& op() const { return op_; }
  size_t parts_hint() const { return parts_hint_; }

  const plan::Expr* Find(std::string_view name) const;  // nullptr: not given
  Result<int64_t> Int(std::string_view name, int64_t otherwise) const;
  // A number as it is written: integers keep all their digits.
  Result<Number> NumberAsWritten(std::string_view name, Number otherwise) const;
  // The same as f64. An Error for an integer that f64 would round.
  Result<double> Real(std::string_view name, double otherwise) const;
  Result<std::vector<int64_t>> IntList(std::string_view name) const;
  Result<bool> Bool(std::string_view name, bool otherwise) const;
  std::string Text(std::string_view name, std::string_view otherwise) const;
  // Words and dtypes that are parameters are among those that the operation takes.
  Result<void> CheckWords(const OpSpec& spec) const;

 private:
  const plan::Op& op_;
  const Scope& scope_;
  size_t parts_hint_;
};

// What carries an operation out. `text` gets it as it was bound: "permute(1, 0)".
using MapFunction = Result<TensorValue> (*)(TensorValue tensor, const OpCall& call, std::string& text);
using ReduceFunction = Result<TensorValue> (*)(const std::vector<Node>& items, const OpCall& call, std::string& text);
// `operands`: the tensors of the innermost list; for an operation on one tensor, that one.
using ComputeFunction = Result<Node> (*)(std::vector<TensorValue> operands, const OpCall& call, std::string& text);
using ExpandFunction = Result<Node> (*)(const TensorValue& tensor, const OpCall& call, std::string& text);

// nullptr: the operation is not of this kind and arity.
MapFunction FindStructuralMap(std::string_view name);   // structural_ops.cc
MapFunction FindElementwiseMap(std::string_view name);  // elementwise_ops.cc
ComputeFunction FindComputed(std::string_view name);    // computed_ops.cc
ReduceFunction FindListReduce(std::string_view name);   // list_ops.cc
ExpandFunction FindListExpand(std::string_view name);

// A kMismatch: what is given does not fit.
Error Wrong(std::string message);
// An axis counted from the front; `rank`: of the tensor, or of the result.
Result<size_t> Axis(int64_t axis, size_t rank, const TensorValue& tensor);
// Whether a tensor, called `name` in the error, may become `shape`: sizes come from rules and files, and their product
// must stay a number.
Result<void> CheckSize(const Shape& shape, DType dtype, std::string_view name);
// The product of the sizes of axes [begin, end); an Error where it is no 64-bit number.
Result<int64_t> MergedSize(const Shape& shape, size_t begin, size_t end, std::string_view name);
Result<TensorValue> WithPieces(TensorValue tensor, Result<PieceValue> value);

}  // namespace ckmap
