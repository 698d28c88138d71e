// Numbers that look random and are the same everywhere: element i of a stream depends on the seed,
// the stream's name and i alone, so any thread can make any element.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ckmap {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The key is the seed, xor the FNV-1a hash of the name; the counter is the element's index and the
// attempt.
class RandomStream {
 public:
  RandomStream(uint64_t seed, std::string_view name);

  // Standard normal, by Marsaglia's polar method in f64. Only +, *, / and square roots are used,
  // which IEEE 754 rounds in one way: the bits do not depend on a machine's mathematical library.
  double Normal(uint64_t index) const;

 private:
  uint64_t key_;
};

}  // namespace ckmap
