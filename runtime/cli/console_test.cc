#include "runtime/cli/console.h"

#include <doctest/doctest.h>

namespace ckmap {
namespace {

TEST_CASE("the progress line has bytes, rate and time left") {
  constexpr int64_t kGiB = int64_t{1} << 30;
  CHECK(ProgressLine("converting", 0, 4 * kGiB, 0) == "converting   0%  0 B of 4.0 GiB");
  CHECK(ProgressLine("converting", kGiB, 4 * kGiB, 2) ==
        "converting  25%  1.0 GiB of 4.0 GiB  512.0 MiB/s  6.0 s left");
  CHECK(ProgressLine("converting", 4 * kGiB, 4 * kGiB, 8) == "converting 100%  4.0 GiB of 4.0 GiB  512.0 MiB/s");
  CHECK(ProgressLine("converting", 0, 0, 1) == "converting");
}

TEST_CASE("colours follow the mode") {
  CHECK(Console(ColorMode::kAlways, false).out().color);
  CHECK_FALSE(Console(ColorMode::kNever, false).err().color);
}

TEST_CASE("the exit code of an error is its code") {
  const Console console(ColorMode::kNever, true);
  CHECK(console.Fail({ErrorCode::kMalformed, "bad"}) == 3);
  CHECK(console.Fail({ErrorCode::kLimit, "too much\nof it"}) == 5);
}

}  // namespace
}  // namespace ckmap
