// Checks a group of checksums by reading what it covers.
#pragma once

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Sums the runs, on all cores, and compares. Errors begin with the path.
Result<void> VerifyGroup(const ChecksumGroup& group);

}  // namespace ckmap
