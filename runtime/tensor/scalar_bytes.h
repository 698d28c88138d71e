// One number as the bytes of one element (little-endian, round to nearest, ties to even).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "runtime/tensor/dtype.h"

namespace ckmap {

// nullopt where the dtype cannot hold the value: an integer out of range or not whole, a finite number
// beyond a float's range, and dtypes without numbers (i4, below a byte).
std::optional<std::vector<std::byte>> ScalarBytes(double value, DType dtype);

// The number that the bytes of one element hold. nullopt where ScalarBytes would give none, and for 64-bit
// integers that a double cannot hold.
std::optional<double> ScalarValue(std::span<const std::byte> bytes, DType dtype);

}  // namespace ckmap
