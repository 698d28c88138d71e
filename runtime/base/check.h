// CKMAP_CHECK: a condition that only a bug of ours can break. Never for input, files or rules:
// those are Result<T> (runtime/base/result.h) or Diagnostics (compiler/diag/diagnostic.h).
#pragma once

#include <cstdio>
#include <cstdlib>

#define CKMAP_CHECK(condition)                                                                    \
  do {                                                                                            \
    if (!(condition)) [[unlikely]] {                                                              \
      std::fprintf(stderr, "ckmap: internal error: %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                               \
    }                                                                                             \
  } while (false)
