// One number as the bytes of one element (little-endian).
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "runtime/tensor/dtype.h"
#include "runtime/tensor/number.h"

namespace ckmap {

// nullopt where the dtype cannot hold the number: an integer that it would round, a fraction or a number that MayBeRounded in an integer dtype, a
// finite number beyond a float's range, and dtypes without numbers. A number with a fraction is rounded to nearest,
// ties to even. Of a complex dtype the number is the real part.
std::optional<std::vector<std::byte>> ScalarBytes(const Number& number, DType dtype);

}  // namespace ckmap
