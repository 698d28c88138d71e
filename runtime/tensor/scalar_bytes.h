// One number as the bytes of one element (little-endian, round to nearest, ties to even).
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "runtime/tensor/dtype.h"

namespace ckmap {

// nullopt where the dtype cannot hold the value: an integer out of range or not whole, a finite number
// beyond a float's range, and dtypes without numbers (i4, below a byte).
std::optional<std::vector<std::byte>> ScalarBytes(double value, DType dtype);

}  // namespace ckmap
