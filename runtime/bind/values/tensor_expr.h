// The values that flow through a rule's pipeline: tensors made of pieces, in nested lists, and
// the operations on them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan.pb.h"
#include "runtime/base/result.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/bind/values/value.h"

namespace ckmap {

struct TensorValue : PiecedTensor {
  std::string name;  // what messages call it: its source's name, or "the result of concat"
};

// All of one source tensor.
TensorValue WholeSource(const Manifest& source, size_t index);

// A tensor, or a list of nodes.
struct Node {
  bool is_list = false;
  std::vector<Node> items;
  TensorValue tensor;

  static Node Leaf(TensorValue value);
  static Node List(std::vector<Node> items);
};

// "a tensor", "a list of 3", "a list of 8 lists of 2".
std::string DescribeStructure(const Node& node);

// Calls `visit` for each tensor, left to right.
template <typename Visit>
void ForEachTensor(const Node& node, Visit visit) {
  std::vector<const Node*> work = {&node};
  while (!work.empty()) {
    const Node* next = work.back();
    work.pop_back();
    if (!next->is_list) visit(next->tensor);
    for (size_t i = next->items.size(); i-- > 0;) work.push_back(&next->items[i]);
  }
}

// Applies one operation. `parts_hint`: how many tensors the other side's innermost list names, for a
// split without sizes; 0 if unknown. `text` gets the operation as it was bound: "permute(1, 0)".
// Errors are kMismatch and say which tensor and shape do not fit.
Result<Node> ApplyOp(const plan::Op& op, Node node, const Scope& scope, size_t parts_hint, std::string* text);

}  // namespace ckmap
