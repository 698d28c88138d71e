// numpy's names of element types, in .npy files and in pickled arrays.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/tensor/shape.h"

namespace ckmap {

// Of "f4", "b1", "c16", …; nullopt for what has no counterpart (long double, text, records).
std::optional<DType> NumpyNumberType(std::string_view code);

// The inverse; "" where numpy has no such type (bf16, the 8-bit floats).
std::string_view NumpyTypeCode(DType dtype);

// Strides in elements where the first axis is the innermost (Fortran's order).
std::vector<int64_t> ColumnMajorStrides(const Shape& shape);

}  // namespace ckmap
