// The executor's meaning, one element at a time, as slow and plain as can be. For tests only.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/bind/computed_node.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// The bytes of a target tensor. Casts must not overflow with Overflow::kError.
std::vector<std::byte> ReferenceTensor(const PiecedTensor& tensor, const Checkpoint& source);

// The elements of a computed node (reference_nodes.cc), from all elements of its operands.
std::vector<double> ReferenceNode(const ComputedNode& node, const std::vector<std::vector<double>>& operands);

}  // namespace ckmap
