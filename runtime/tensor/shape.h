// Shapes, and the overflow-checked arithmetic over them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/tensor/dtype.h"

namespace ckmap {

// Sizes of the axes, outermost first; rank 0 is a scalar. In a target spec -1 is an axis to infer.
using Shape = std::vector<int64_t>;

// Product of the sizes (1 for rank 0). nullopt if a size is negative or the product exceeds
// 2^62, so that byte counts still fit int64.
std::optional<int64_t> NumElements(const Shape& shape);

// Bytes of a dense tensor. nullopt on overflow (of an empty tensor too, where its strides would), a
// negative size, or (for types below a byte) a count that does not fill whole bytes.
std::optional<int64_t> NumBytes(const Shape& shape, DType dtype);

// Row-major strides, in elements. The shape must have passed NumElements.
std::vector<int64_t> RowMajorStrides(const Shape& shape);

// "[64, 3, 7, 7]"; "[]" for a scalar.
std::string FormatShape(const Shape& shape);

}  // namespace ckmap
