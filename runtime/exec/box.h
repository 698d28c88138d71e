// Boxes: pieces in bytes of a storage and of a target tensor, and the arithmetic that cuts them.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/exec/kernels/strided_copy.h"

namespace ckmap {

// Moves elements from byte `src + Σ ik * src_k` of a storage to byte `dst + Σ ik * dst_k` of a target.
//
// Invariants: axes stand largest dst first, no axis has size 1, and an axis' dst is at least what
// all axes after it span, so every axis is a row of separate stretches of the target.
struct Box {
  int32_t input = 0;  // index into LoweredTensor::inputs, or kFillInput
  int64_t src = 0;
  int64_t dst = 0;
  std::vector<CopyAxis> axes;

  int64_t elements() const;
  // Bytes from the first to the last that is written; `element` is the size of one.
  int64_t DstSpan(int64_t element) const;
  // Bytes that are written without a hole from the start of each innermost row.
  int64_t DstRun(int64_t element) const;
};

// Appends the parts of `box` that write inside bytes [begin, end) of the target, which are
// multiples of `element`. Parts keep the invariants.
void CutToRange(const Box& box, int64_t begin, int64_t end, int64_t element, std::vector<Box>& out);

// How a box's source bytes are read: in segments of equal length, one for each index of `outer`,
// that are laid side by side in a buffer.
struct Staging {
  int64_t first = 0;            // storage offset of the first segment
  int64_t segment = 0;          // bytes of one
  int64_t pitch = 0;            // distance of segments in the buffer
  std::vector<CopyAxis> outer;  // src: stride in the storage (>= 0), dst: in the buffer
  std::vector<CopyAxis> axes;   // the box's axes, with src a stride in the buffer
  int64_t start = 0;            // where element [0, …, 0] lies in the buffer
  int64_t bytes = 0;            // of the buffer
};

// Holes of up to `max_gap` bytes are read along, which is cheaper than another read, as long as
// the buffer stays within `capacity`; with what does not fit even without holes, bytes > capacity.
Staging PlanStaging(const Box& box, int64_t element, int64_t max_gap, int64_t capacity);

}  // namespace ckmap
