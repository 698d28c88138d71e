// How the programs end where memory runs out: with a message and an exit code, like any other limit.
#pragma once

#include <execinfo.h>
#include <unistd.h>

#include <string_view>

#include "runtime/base/result.h"

namespace ckmap {

// To be called first: the C library loads what it unwinds with when an exception first passes it, and by then there may
// be no memory.
inline void LoadUnwinder() {
  void* frame = nullptr;
  (void)::backtrace(&frame, 1);
}

// The exit code, after the message. Needs no memory itself.
inline int OutOfMemory(std::string_view message) {
  if (::write(STDERR_FILENO, message.data(), message.size()) < 0) return static_cast<int>(ErrorCode::kIo);
  return static_cast<int>(ErrorCode::kLimit);
}

}  // namespace ckmap
