// Copies the elements of a strided box in memory: for every index (i0, i1, …)
//     dst[Σ ik * dst_k]  =  src[Σ ik * src_k]
// with strides in bytes. Source strides may be negative or 0; destinations must not overlap one
// another or the source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ckmap {

struct CopyAxis {
  int64_t size = 1;
  int64_t src = 0;
  int64_t dst = 0;
};

// `element` is the element's size in bytes, any positive number; fast for 1, 2, 4, 8 and 16.
// The axes may stand in any order.
void StridedCopy(const std::byte* src, std::byte* dst, std::span<const CopyAxis> axes, int64_t element);

// Drops axes of size 1, sorts by destination stride, largest first, and merges axes that run on
// into each other on both sides. Returns the number of axes that are left.
size_t SimplifyAxes(std::span<CopyAxis> axes);

}  // namespace ckmap
