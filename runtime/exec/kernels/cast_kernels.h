// Vector kernels for the casts between wide types that whole checkpoints go through. Compiled for
// several instruction sets; the best one that the processor has is chosen at run time. All give
// the same bits. Internal to runtime/exec.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/tensor/dtype.h"

namespace ckmap {

struct VectorCounts {
  uint32_t overflowed = 0;
  uint32_t changed = 0;
};

// Casts up to 2^31 dense elements; overflow gives infinity.
using VectorCast = VectorCounts (*)(const std::byte* src, std::byte* dst, size_t count);

// nullptr where there is none.
VectorCast FindVectorCast(DType from, DType to);

}  // namespace ckmap
