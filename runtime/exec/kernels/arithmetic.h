// Arithmetic on elements: scale, add and neg, and byteswap, which only moves bits.
//
// Floats: `element * operand` and `element + operand` are computed in f64 and rounded once to the dtype, to nearest,
// ties to even. A finite result that the dtype cannot hold overflows, and ElementOp::overflow says what then
// happens. A product with a power of two is exact: with Overflow::kError one that would be rounded (it fell below the
// normal numbers) counts as overflowed. NaNs stay as they are. neg turns the sign round and loses nothing.
//
// Integers: exact. A result out of range, and one that would not be whole, overflows.
#pragma once

#include "runtime/exec/kernels/cast.h"

namespace ckmap {

// Whether ComputeElements knows this operation with this dtype and operand.
bool CanCompute(const ElementOp& op);

// As CastElements and CastElement, for all kinds of operations but casts.
void ComputeElements(const ElementOp& op, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                     uint8_t* touched = nullptr);
CastOne ComputeElement(const ElementOp& op, uint64_t bits);

}  // namespace ckmap
