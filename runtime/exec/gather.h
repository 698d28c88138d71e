// Brings elements together: reads the bytes that boxes need, from the files or from computed nodes,
// and moves and converts them. One thread's.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/base/result.h"
#include "runtime/exec/budget.h"
#include "runtime/exec/byte_layout.h"

namespace ckmap {

class Evaluators;
struct Segment;

inline std::span<std::byte> Bytes(std::byte* data, int64_t size) { return {data, static_cast<size_t>(size)}; }

// "[3, 0]": where the row-major element `index` of a tensor stands.
std::string FormatCoordinates(int64_t index, const Shape& shape);

class Gatherer {
 public:
  // `level`: how many computed nodes stand between the target and what is gathered here.
  Gatherer(const Checkpoint& source, const Budget& budget, Evaluators& evaluators, int level);

  bool ok() const { return memory_.ok(); }
  const Budget& budget() const { return budget_; }
  std::byte* strip() const { return strip_; }
  std::byte* staging() const { return staging_; }

  // Bytes [begin, end) of a lowered tensor, at most budget.strip of them, at multiples of its
  // element size; in the strip, valid until the next call.
  Result<std::span<const std::byte>> Gather(const LoweredTensor& lowered, int64_t begin, int64_t end);

  // Moves a box's elements from memory at `base` (box.src is an offset there) to `out`, which
  // stands for byte `out_begin` of the target.
  void MoveElements(const Box& box, const LoweredTensor& lowered, const std::byte* base, std::byte* out,
                    int64_t out_begin);
  // Reads a box into the staging buffer and moves it, in parts if it does not fit there.
  Result<void> MoveBox(const Box& box, const LoweredTensor& lowered, std::byte* out, int64_t out_begin);

  Result<void> ReadStaged(const Staging& staging, const LoweredInput& input, std::byte* to);
  Result<void> ReadSource(const LoweredInput& input, int64_t offset, std::span<std::byte> out);
  void Convert(const LoweredInput& input, const std::byte* src, std::byte* dst, int64_t count, int64_t index);

  // The counts since the last call; an Error if a cast refused an element of a tensor of this
  // shape.
  Result<ElementCounts> Settle(const Shape& shape);
  // The element that a cast refused, to be put into the target's terms before Settle.
  int64_t& refused_index() { return counts_.first.index; }

  Error Where(const LoweredInput& input, Error error) const;
  Result<void> CheckStop() const;   // an Error once the execution is to end (evaluators.h)
  std::string_view target() const;  // the target tensor that is made now

 private:
  Result<void> Evaluate(const LoweredInput& input, std::span<const Segment> wanted);
  void MoveConverted(const Box& box, const LoweredInput& input, int64_t element, const std::byte* base, std::byte* out,
                     int64_t out_begin);

  const Checkpoint& source_;
  const Budget budget_;
  Evaluators& evaluators_;
  const int level_;
  Buffer memory_;
  std::byte* strip_;
  std::byte* convert_;
  std::byte* staging_;
  ElementCounts counts_;
  LoweredInput refused_;  // the input that counts_.first came from
};

}  // namespace ckmap
