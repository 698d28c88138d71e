#include "runtime/base/random.h"

#include <doctest/doctest.h>

#include <cmath>

namespace ckmap {
namespace {

TEST_CASE("Philox gives the published vectors") {
  CHECK(Philox({0, 0, 0, 0}, {0, 0}) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Philox({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("normal numbers have the moments of the distribution, and depend on seed, name and index") {
  const RandomStream stream(1, "a.weight");
  constexpr int kCount = 200'000;
  double sum = 0, squares = 0, fourth = 0;
  for (uint64_t i = 0; i < kCount; ++i) {
    const double x = stream.Normal(i);
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  CHECK(std::abs(sum / kCount) < 0.01);
  CHECK(std::abs(squares / kCount - 1) < 0.02);
  CHECK(std::abs(fourth / kCount - 3) < 0.1);
  CHECK(stream.Normal(7) == RandomStream(1, "a.weight").Normal(7));
  CHECK(stream.Normal(7) != stream.Normal(8));
  CHECK(stream.Normal(7) != RandomStream(2, "a.weight").Normal(7));
  CHECK(stream.Normal(7) != RandomStream(1, "b.weight").Normal(7));
}

}  // namespace
}  // namespace ckmap
