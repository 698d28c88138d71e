// Tensors that the target ties: they are one tensor of the network, so what is written to them must be equal.
#pragma once

#include "runtime/bind/bound_plan.h"

namespace ckmap {

// Adds to `bound.checks` each pair that is not made of the same pieces. Before tensors are cut for ranks.
void CheckTied(BoundPlan& bound);

}  // namespace ckmap
