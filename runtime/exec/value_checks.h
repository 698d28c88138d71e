// Proves what a bound plan takes for granted: that tensors which it takes to be equal are (BoundPlan::checks). Both
// sides are read in strips, so memory does not grow with them.
#pragma once

#include "runtime/base/result.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/exec/budget.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

class Progress;

// Bytes that are compared, counted once for both sides.
int64_t BytesToCheck(const BoundPlan& plan);

// kMismatch names the first element (of the first check) that differs, with both values. `budget` is that of the whole
// execution; each thread reads both sides within its part of it.
Result<void> RunValueChecks(const BoundPlan& plan, const Checkpoint& source, const Budget& budget, Progress& progress);

}  // namespace ckmap
