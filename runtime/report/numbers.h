// Elements of any type as numbers that can be compared.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/tensor/dtype.h"

namespace ckmap {

// Whether ToNumbers knows the type.
bool IsNumber(DType dtype);

// Dense little-endian elements as doubles (64-bit integers are rounded to the nearest).
void ToNumbers(DType dtype, std::span<const std::byte> elements, std::vector<double>& out);

}  // namespace ckmap
