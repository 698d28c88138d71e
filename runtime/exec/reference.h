// The executor's meaning, one element at a time, as slow and plain as can be. For tests only.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/bind/bound_plan.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// The bytes of a target tensor. Casts must not overflow with Overflow::kError.
std::vector<std::byte> ReferenceTensor(const BoundTensor& tensor, const Checkpoint& source);

}  // namespace ckmap
