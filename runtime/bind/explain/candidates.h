// "Did you mean": for a name without a counterpart, the nearest names of the other side.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor/manifest.h"

namespace ckmap {

// Up to three names out of `pool` (indices into `manifest`), nearest first, each with its dtype and shape:
// names that share segments, above all the last ones, and shapes that are equal count as near. Looks
// at no more than the first few thousand.
std::vector<std::string> NearestNames(const TensorInfo& wanted, const Manifest& manifest,
                                      const std::vector<size_t>& pool);

// "`conv1.weight` (f32 [64, 3, 7, 7])".
std::string DescribeTensor(const TensorInfo& tensor);

}  // namespace ckmap
