// What a migration would write, as digests: nothing is written.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/exec/executor.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Hex SHA-256 of the row-major little-endian elements of each tensor of the plan, made from the source; what the plan
// takes to be equal is compared first, as in Execute. Of `options` threads, max_memory, progress and stop count.
Result<std::vector<std::string>> DigestBound(const BoundPlan& plan, const Checkpoint& source,
                                             const ExecOptions& options);

}  // namespace ckmap
