// Digests of all tensors of a checkpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Hex SHA-256 of the elements of each tensor of the manifest, "" for those that cannot be read. What the format
// promises of the bytes is checked first. `progress` counts bytes.
Result<std::vector<std::string>> DigestTensors(const Checkpoint& checkpoint,
                                               const std::function<void(int64_t done, int64_t total)>& progress);

}  // namespace ckmap
