// Lowering: a bound tensor's pieces, which count logical elements, onto the bytes of the source's
// storages and of the target tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/exec/box.h"
#include "runtime/exec/elements.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

struct LoweredInput {
  size_t source = 0;  // index into the source manifest
  uint32_t storage = 0;
  int64_t element = 1;  // bytes of one element in the source
  ElementChain chain;
};

struct LoweredTensor {
  int64_t bytes = 0;    // of the target tensor
  int64_t element = 1;  // bytes of one element in it (1 for dtypes below a byte)
  std::vector<LoweredInput> inputs;
  std::vector<Box> boxes;  // tile [0, bytes)
};

// kMismatch for casts that are not defined and for dtypes below a byte that are not copied whole;
// kLimit where a layout that is not row-major takes the tensor apart into more than kMaxPieces.
Result<LoweredTensor> LowerTensor(const BoundTensor& tensor, const Checkpoint& source);

}  // namespace ckmap
