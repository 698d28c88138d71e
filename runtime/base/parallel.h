// The same work on many items by several threads, in a way that survives everything: threads that the
// system refuses are done without, and what a thread throws becomes an Error.
#pragma once

#include <cstddef>
#include <functional>

#include "runtime/base/result.h"

namespace ckmap {

// Calls `make_body` once in each thread and then the body that it gives for items below `count`, which
// are taken in order. The error of the first item that has one is returned, so it does not depend on
// timing; later items are then left out. Memory that runs out is kLimit.
using ItemBody = std::function<Result<void>(size_t item)>;
Result<void> ForEachInParallel(int threads, size_t count, const std::function<ItemBody()>& make_body);

// One per core.
int DefaultThreads();

}  // namespace ckmap
