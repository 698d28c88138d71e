// Which tensors of a checkpoint share bytes: tied weights, and views of one another.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Indices of tensors that share bytes with one another, directly or through others of the group; each in the order of
// the manifest. Tensors that lie in one storage without a byte in common are not in a group.
std::vector<std::vector<size_t>> TensorsThatShareBytes(const Checkpoint& checkpoint);

// For each tensor, the first tensor that is the same elements in the same place, or itself.
std::vector<size_t> FirstOfSameBytes(const Checkpoint& checkpoint);

}  // namespace ckmap
