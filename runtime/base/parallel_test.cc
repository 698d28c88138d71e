#include "runtime/base/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <new>
#include <stdexcept>

namespace ckmap {
namespace {

TEST_CASE("every item is done once, by any number of threads") {
  for (const int threads : {0, 1, 3, 100}) {
    std::atomic<size_t> sum{0};
    const auto done = ForEachInParallel(threads, 50, [&]() -> ItemBody {
      return [&](size_t item) -> Result<void> {
        sum += item + 1;
        return {};
      };
    });
    CHECK(done.ok());
    CHECK(sum == 50 * 51 / 2);
  }
}

TEST_CASE("the first item that fails names the error, whatever the timing") {
  for (int round = 0; round < 20; ++round) {
    const auto done = ForEachInParallel(4, 100, []() -> ItemBody {
      return [](size_t item) -> Result<void> {
        if (item >= 10) return Error(ErrorCode::kIo, "item " + std::to_string(item));
        return {};
      };
    });
    REQUIRE_FALSE(done.ok());
    CHECK(done.error().message() == "item 10");
  }
}

TEST_CASE("what a thread throws is an error") {
  const auto out_of_memory = ForEachInParallel(3, 9, []() -> ItemBody {
    return [](size_t item) -> Result<void> {
      if (item % 2 == 1) throw std::bad_alloc();
      return {};
    };
  });
  REQUIRE_FALSE(out_of_memory.ok());
  CHECK(out_of_memory.error().code() == ErrorCode::kLimit);
  const auto at_start = ForEachInParallel(3, 9, []() -> ItemBody { throw std::runtime_error("no"); });
  CHECK_FALSE(at_start.ok());
}

}  // namespace
}  // namespace ckmap
