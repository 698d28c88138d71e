// Blocks of elements that share a scale: where the scales of a row stand, and which of its elements each of them serves.
#pragma once

#include <algorithm>
#include <vector>

#include "runtime/bind/computed_node.h"

namespace ckmap {

// Of the scales, one for each axis of the weight.
inline std::vector<int64_t> ScaleStrides(const ScaleSpec& spec, const Shape& shape) {
  std::vector<int64_t> strides(spec.block.size());
  int64_t stride = 1;
  for (size_t k = spec.block.size(); k-- > 0;) {
    strides[k] = stride;
    stride *= (shape[k] + spec.block[k] - 1) / spec.block[k];
  }
  return strides;
}

// Where the scales of a row of the weight begin.
inline int64_t ScaleRow(int64_t row, const ScaleSpec& spec, const Shape& shape, const std::vector<int64_t>& strides) {
  int64_t at = 0;
  for (size_t k = spec.block.size() - 1; k-- > 0;) {
    at += row % shape[k] / spec.block[k] * strides[k];
    row /= shape[k];
  }
  return at;
}

// Calls `apply(b, begin, end)` for each block that `n` elements of a row from `column` on touch: block b of these, and which
// of the elements it holds. Ends at the first Error.
template <typename Apply>
Result<void> ForEachBlock(int64_t column, int64_t n, int64_t block, Apply apply) {
  const int64_t first = column / block;
  for (int64_t b = 0, begin = 0; begin < n; ++b) {
    const int64_t end = std::min(n, (first + b + 1) * block - column);
    CKMAP_RETURN_IF_ERROR(apply(b, begin, end));
    begin = end;
  }
  return {};
}

inline int64_t CountBlocks(int64_t column, int64_t n, int64_t block) {
  return (column + n - 1) / block - column / block + 1;
}

}  // namespace ckmap
