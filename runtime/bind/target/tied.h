// Tensors that the target ties: they are one tensor of the network, so what is written to them must be equal.
#pragma once

#include <vector>

#include "runtime/bind/bound_plan.h"
#include "runtime/bind/issue.h"

namespace ckmap {

// Adds to `bound.checks` each pair that is made of other source tensors. Where the rules make two things of the same source
// tensors, they are meant to differ: the tie is taken out of `bound.target`, with a warning (CK1233). Before tensors are
// cut for ranks.
void CheckTied(BoundPlan& bound, std::vector<Issue>& issues);

}  // namespace ckmap
