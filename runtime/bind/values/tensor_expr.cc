#include "runtime/bind/values/tensor_expr.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "runtime/bind/ops/op_call.h"

namespace ckmap {
namespace {

// Inputs that no piece uses any more (cut away) are dropped, the others renumbered.
void CompactInputs(TensorValue& tensor) {
  std::vector<int32_t> to(tensor.inputs.size(), -1);
  std::vector<BoundInput> kept;
  for (Piece& piece : tensor.value.pieces) {
    if (piece.input == kFillInput) continue;
    int32_t& index = to[static_cast<size_t>(piece.input)];
    if (index < 0) {
      index = static_cast<int32_t>(kept.size());
      kept.push_back(tensor.inputs[static_cast<size_t>(piece.input)]);
    }
    piece.input = index;
  }
  if (!tensor.value.pieces.empty()) tensor.inputs = std::move(kept);
}

// Everything downstream multiplies sizes: none may leave 64 bits, of a tensor without elements neither.
Result<void> CheckSizes(const Node& node) {
  Result<void> fits;
  ForEachTensor(node, [&](const TensorValue& tensor) {
    const int bits = DTypeBits(tensor.dtype);
    const bool whole = bits != 0 && bits % 8 == 0;  // a part of a packed tensor may end inside a byte
    Result<void> one = CheckSize(tensor.value.shape, whole ? tensor.dtype : DType::kU8, tensor.name);
    if (!one && fits) fits = std::move(one);
  });
  return fits;
}

// Replaces each tensor (or, for kReduce, each innermost list) of a tree by what `apply` gives.
Result<void> Transform(Node& node, bool innermost_lists, const std::function<Result<Node>(Node)>& apply) {
  const bool hit = innermost_lists ? node.is_list && std::none_of(node.items.begin(), node.items.end(),
                                                                  [](const Node& item) { return item.is_list; })
                                   : !node.is_list;
  if (hit) {
    CKMAP_ASSIGN_OR_RETURN(node, apply(std::move(node)));
    return CheckSizes(node);
  }
  for (Node& item : node.items) CKMAP_RETURN_IF_ERROR(Transform(item, innermost_lists, apply));
  return {};
}

Error WrongDType(const OpSpec& spec, const TensorValue& tensor) {
  return Wrong(
      fmt::format("{} is {}, and {} takes {}", tensor.name, DTypeName(tensor.dtype), spec.name, Describe(spec.takes)));
}

}  // namespace

TensorValue WholeSource(const Manifest& source, size_t index) {
  const TensorInfo& info = source[index];
  TensorValue tensor;
  tensor.value = WholeTensor(0, info.shape);
  tensor.dtype = info.dtype;
  tensor.inputs.push_back({index, {}});
  tensor.name = info.name;
  return tensor;
}

Node Node::Leaf(TensorValue value) {
  Node node;
  node.tensor = std::move(value);
  return node;
}

Node Node::List(std::vector<Node> items) {
  Node node;
  node.is_list = true;
  node.items = std::move(items);
  return node;
}

std::string DescribeStructure(const Node& node) {
  if (!node.is_list) return "a tensor";
  std::string text = fmt::format("a list of {}", node.items.size());
  const Node* at = &node;
  while (!at->items.empty() && at->items.front().is_list) {
    at = &at->items.front();
    text += fmt::format(" lists of {}", at->items.size());
  }
  return text;
}

Result<Node> ApplyOp(const plan::Op& op, Node node, const Scope& scope, size_t parts_hint, std::string* text) {
  const OpCall call(op, scope, parts_hint);
  const OpSpec* spec = FindOp(op.name());
  CKMAP_CHECK(spec != nullptr);  // the plan was validated
  CKMAP_RETURN_IF_ERROR(call.CheckWords(*spec));
  std::string bound;
  std::function<Result<Node>(Node)> apply;
  if (spec->kind == OpKind::kComputed) {
    if (spec->arity == OpArity::kReduce && !node.is_list) {
      return Wrong(fmt::format("{} takes its operands as a list, but {} is one tensor", op.name(), node.tensor.name));
    }
    apply = [&](Node in) -> Result<Node> {
      std::vector<TensorValue> operands;
      if (!in.is_list) operands.push_back(std::move(in.tensor));
      for (Node& item : in.items) operands.push_back(std::move(item.tensor));
      for (const TensorValue& operand : operands) {
        if (!Holds(spec->takes, operand.dtype)) return WrongDType(*spec, operand);
      }
      return FindComputed(op.name())(std::move(operands), call, bound);
    };
  } else if (spec->arity == OpArity::kMap) {
    const MapFunction map =
        spec->kind == OpKind::kStructural ? FindStructuralMap(op.name()) : FindElementwiseMap(op.name());
    CKMAP_CHECK(map != nullptr);
    apply = [&, map](Node in) -> Result<Node> {
      if (!Holds(spec->takes, in.tensor.dtype)) return WrongDType(*spec, in.tensor);
      CKMAP_ASSIGN_OR_RETURN(TensorValue out, map(std::move(in.tensor), call, bound));
      return Node::Leaf(std::move(out));
    };
  } else if (spec->arity == OpArity::kReduce) {
    const ReduceFunction reduce = FindListReduce(op.name());
    CKMAP_CHECK(reduce != nullptr);
    if (!node.is_list) {
      return Wrong(fmt::format("{} joins a list, but {} is one tensor", op.name(), node.tensor.name));
    }
    apply = [&, reduce](Node in) -> Result<Node> {
      if (in.items.empty()) return Wrong(fmt::format("{} of no tensors", op.name()));
      CKMAP_ASSIGN_OR_RETURN(TensorValue out, reduce(in.items, call, bound));
      CompactInputs(out);
      return Node::Leaf(std::move(out));
    };
  } else {
    const ExpandFunction expand = FindListExpand(op.name());
    CKMAP_CHECK(expand != nullptr);
    apply = [&, expand](Node in) -> Result<Node> {
      CKMAP_ASSIGN_OR_RETURN(Node out, expand(in.tensor, call, bound));
      for (Node& item : out.items) CompactInputs(item.tensor);
      return out;
    };
  }
  CKMAP_RETURN_IF_ERROR(Transform(node, spec->arity == OpArity::kReduce, apply));
  if (text != nullptr) *text = bound;
  return node;
}

}  // namespace ckmap
