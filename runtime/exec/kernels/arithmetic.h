// Arithmetic on many elements: scale, add and neg, and byteswap, which only moves bits. What they make of each:
// runtime/ops/element_op.h.
#pragma once

#include "runtime/exec/kernels/cast.h"

namespace ckmap {

// As CastElements, for all kinds of operations but casts; CanCompute says which there are.
void ComputeElements(const ElementOp& op, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                     uint8_t* touched = nullptr);

}  // namespace ckmap
