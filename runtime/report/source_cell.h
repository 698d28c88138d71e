// The cell of a table that says which source tensors make a target tensor: in the order in which they lie in it, each
// with the part of it that is taken where that is not all: "attn.qkv[8:16]", "lin{0,2,1}".
#pragma once

#include <string>
#include <vector>

#include "runtime/bind/bound_plan.h"

namespace ckmap {

// One text for each source tensor, without folding.
std::vector<std::string> SourceParts(const BoundPlan& plan, const BoundTensor& tensor);

// The same folded, and cut after the first few: "a, b, c, + 4".
std::string SourceCell(const BoundPlan& plan, const BoundTensor& tensor);

}  // namespace ckmap
