// What happens to elements on their way: put right what the file keeps in a lazy form, then cast.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// In this order: swap bytes, conjugate, negate, cast.
struct ElementChain {
  DType from = DType::kF32;
  DType to = DType::kF32;
  bool byteswap = false;
  bool conjugate = false;
  bool negative = false;
  std::vector<ElementOp> casts;

  // Elements are copied as they are.
  bool trivial() const { return !byteswap && !conjugate && !negative && casts.empty(); }
  friend bool operator==(const ElementChain&, const ElementChain&) = default;
};

// kMismatch for operations that are not defined.
Result<ElementChain> MakeElementChain(DType from, const std::vector<ElementOp>& casts, DType to,
                                      const TensorLayout& layout);

// The first element (in the order of the target) that a cast with Overflow::kError could not take.
struct Overflowed {
  int64_t index = -1;  // element of the target tensor; -1: none
  uint64_t bits = 0;   // of the element that `cast` was given
  ElementOp cast;
};

struct ElementCounts {
  int64_t overflowed = 0;
  int64_t changed = 0;
  Overflowed first;
};

// "is 70000, which f16 cannot hold; …": why `op` refused an element of these bits.
std::string DescribeRefusal(const ElementOp& op, uint64_t bits);

// Passes `count` dense elements through the chain. `index` is the first one's place in the target
// tensor. The ranges must not overlap.
void ConvertElements(const ElementChain& chain, const std::byte* src, std::byte* dst, int64_t count, int64_t index,
                     ElementCounts& counts);

}  // namespace ckmap
