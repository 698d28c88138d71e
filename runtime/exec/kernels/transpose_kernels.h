// The inner kernel of StridedCopy. Internal to runtime/exec.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ckmap {

// dst[columns[c] + r * element] = src[rows[r] + c * element] for r < row_count, c < column_count,
// offsets in bytes. Source rows are contiguous along c, destination columns along r.
// `element` is 1, 2, 4, 8 or 16.
void TransposeTile(const std::byte* src, const int64_t* rows, size_t row_count, std::byte* dst, const int64_t* columns,
                   size_t column_count, size_t element);

}  // namespace ckmap
