// Casts of many elements. What a cast makes of each: runtime/ops/element_op.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/ops/element_op.h"

namespace ckmap {

struct CastCounts {
  int64_t overflowed = 0;
  int64_t changed = 0;          // values that are not equal before and after (overflowed ones too)
  int64_t first_overflow = -1;  // index of the first overflowed element; only for Overflow::kError
};

// Casts `count` dense little-endian elements. The ranges must not overlap. `counts` is added to.
// `touched`, if not null, has one byte per element, set to 1 where the value changed.
void CastElements(const CastOp& cast, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                  uint8_t* touched = nullptr);

}  // namespace ckmap
