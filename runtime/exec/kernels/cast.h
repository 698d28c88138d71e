// Conversion of elements from one dtype to another.
//
// The value is kept where the new type has it. Otherwise it is rounded to the nearest value that the
// new type has, ties to even, in one step (never through a third type). A value that rounds beyond
// the largest finite one (or, for integers, out of range; or an infinity that the new type lacks)
// overflows; what then happens is CastOp::overflow. A NaN stays a NaN with its sign and the leading bits of its payload; where bits
// of it are lost, it becomes quiet. A NaN cast to an integer overflows (saturated: 0).
//
// What can be cast: bool and integers to integers and floats, floats to floats and integers.
// f8_e8m0 can only be cast from; i4, complex types, f4 and f6 not at all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/bind/bound_plan.h"

namespace ckmap {

// Whether CastElements knows this cast. (kInf needs a target type that has infinities.)
bool CanCast(const CastOp& cast);

struct CastCounts {
  int64_t overflowed = 0;
  int64_t changed = 0;          // values that are not equal before and after (overflowed ones too)
  int64_t first_overflow = -1;  // index of the first overflowed element; only for Overflow::kError
};

// Casts `count` dense little-endian elements. The ranges must not overlap. `counts` is added to.
// `touched`, if not null, has one byte per element, set to 1 where the value changed.
void CastElements(const CastOp& cast, const std::byte* src, std::byte* dst, size_t count,
                  CastCounts& counts, uint8_t* touched = nullptr);

// One element, bits in and bits out: the definition that everything fast is tested against.
struct CastOne {
  uint64_t bits = 0;
  bool overflowed = false;
  bool changed = false;
};
CastOne CastElement(const CastOp& cast, uint64_t bits);

// The element as a number, for messages: "-70000", "nan".
std::string FormatElement(DType dtype, uint64_t bits);

}  // namespace ckmap
