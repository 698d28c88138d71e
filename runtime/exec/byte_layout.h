// Lowering: a bound tensor's pieces, which count logical elements, onto the bytes of the source's
// storages and of the target tensor.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/computed_node.h"
#include "runtime/exec/box.h"
#include "runtime/exec/elements.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Holes in source segments up to this are read along.
inline constexpr int64_t kMaxGap = 2048;

struct LoweredNode;

struct LoweredInput {
  size_t source = 0;  // index into the source manifest
  uint32_t storage = 0;
  // Instead of a storage: a computed node, whose bytes are those of its row-major result.
  std::shared_ptr<const LoweredNode> node;
  int64_t element = 1;  // bytes of one element in the source
  ElementChain chain;

  // Nothing is computed that nobody asked for.
  int64_t max_gap() const { return node != nullptr ? 0 : kMaxGap; }
};

struct LoweredTensor {
  int64_t bytes = 0;    // of the target tensor
  int64_t element = 1;  // bytes of one element in it (1 for dtypes below a byte)
  std::vector<LoweredInput> inputs;
  std::vector<Box> boxes;       // tile [0, bytes)
  std::vector<std::byte> fill;  // one element, for boxes with kFillInput
};

struct LoweredNode {
  std::shared_ptr<const ComputedNode> node;
  std::vector<LoweredTensor> operands;
};

// kMismatch for casts that are not defined and for dtypes below a byte that are not copied whole;
// kLimit where a layout that is not row-major takes the tensor apart into more than kMaxPieces.
// `rule`: for messages.
Result<LoweredTensor> LowerTensor(const PiecedTensor& tensor, const Checkpoint& source, std::string_view rule);

}  // namespace ckmap
