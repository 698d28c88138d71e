// Where target tensors go: `place` and `shard`, and what the command line says of both. A rank's
// slice of a tensor is the intersection of its pieces with the slice, so that a rank reads only what
// it writes.
#pragma once

#include <vector>

#include "runtime/bind/bound_plan.h"
#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// Fills `bound.devices`, and cuts the tensors of the groups that `options.ranks` names. What cannot
// be cut goes to `issues`. An Error if `options` names a group that the plan does not cut over.
Result<void> ApplyPlacement(const BindContext& context, const PlacementOptions& options, BoundPlan& bound,
                            std::vector<Issue>& issues);

}  // namespace ckmap
