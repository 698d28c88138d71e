// What the functions that bind computed operations share.
#pragma once

#include <string>
#include <vector>

#include "runtime/bind/computed_node.h"
#include "runtime/bind/ops/op_call.h"

namespace ckmap {

// A node in the making. Operands are taken in the order in which the spec of computed_node.h names
// them.
class NodeBuilder {
 public:
  // `call` may say `to=` and `overflow=`.
  NodeBuilder(const OpCall& call, std::string text) : call_(call), text_(std::move(text)) {}

  void Add(TensorValue operand);
  // The dtype of the result: `to`, else `otherwise`.
  Result<DType> ResultType(DType otherwise) const;
  // The tensor that the node gives. Errors: nodes nest too deep, or a dtype that cannot be
  // computed.
  Result<TensorValue> Build(decltype(ComputedNode::spec) spec, Shape shape, DType dtype,
                            std::string overflow = "error");

 private:
  const OpCall& call_;
  std::string text_;
  ComputedNode node_;
};

// The tensor that a node gives, all of it. Errors: nodes nest too deep (kLimit), or the result is too large. `depth` is
// computed.
Result<TensorValue> ComputedTensor(ComputedNode node);

// "`a` is f32 [2, 3]".
std::string DescribeOperand(const TensorValue& tensor);
// A kMismatch that lists the operands with their shapes: "{why}: a is f32 [2, 3], b is f32 [4]".
Error WrongOperands(const std::string& why, const std::vector<TensorValue>& operands);
// The number of operands is between `least` and `most`; `names`: what they are, for the message.
Result<void> CheckCount(const std::vector<TensorValue>& operands, size_t least, size_t most, std::string_view names);
// All are floats of 8 bits or more.
Result<void> CheckFloats(const std::vector<TensorValue>& operands, const OpCall& call);

// The product of the sizes of axes [begin, end), at least 1. What does not fit becomes the largest number: only tensors
// without elements have such sizes.
int64_t Product(const Shape& shape, size_t begin, size_t end);
Result<TensorValue> Reshaped(TensorValue tensor, const Shape& shape);  // equal element counts
Result<TensorValue> Permuted(TensorValue tensor, const std::vector<size_t>& order);

// One function each; `text` gets the operation as it was bound.
using Operands = std::vector<TensorValue>;
Result<Node> BindDequantize(Operands operands, const OpCall& call,
                            std::string& text);  // scale_ops.cc
Result<Node> BindQuantize(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindAbsmax(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindMatmul(Operands operands, const OpCall& call, std::string& text);  // merge_ops.cc
Result<Node> BindLoraMerge(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindWeightNorm(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindBatchNorm(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindPointwise(Operands operands, const OpCall& call,
                           std::string& text);                                      // value_ops.cc
Result<Node> BindUnpack(Operands operands, const OpCall& call, std::string& text);  // code_ops.cc
Result<Node> BindPack(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindConstant(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindDecode(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindTake(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindMap(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindReduceMean(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindNormalize(Operands operands, const OpCall& call, std::string& text);
Result<Node> BindInterpolate(Operands operands, const OpCall& call, std::string& text);

}  // namespace ckmap
