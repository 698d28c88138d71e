// Compares two checkpoints tensor by tensor, whatever their formats and the strides in their files.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/report/style.h"

namespace ckmap {

struct DiffOptions {
  // Elements are equal if |a - b| <= atol + rtol * |b|, or both are NaN. With both 0 the bytes must
  // be equal, so that -0.0 is not 0.0 and NaN payloads count.
  double rtol = 0;
  double atol = 0;
  std::function<void(int64_t done_bytes, int64_t total_bytes)> progress = nullptr;
  const std::atomic<bool>* stop = nullptr;  // becomes true: end with an Error soon
};

enum class DiffKind { kOnlyInA, kOnlyInB, kDType, kShape, kValues, kUnreadable };
std::string_view DiffKindName(DiffKind kind);  // "only_in_a", …

struct TensorDiff {
  std::string name;
  DiffKind kind = DiffKind::kValues;
  std::string in_a;  // "f32 [10, 64]"; empty where it is absent
  std::string in_b;
  int64_t different = 0;      // kValues: elements that differ …
  int64_t elements = 0;       // … of so many
  double max_difference = 0;  // largest |a - b|; of types without arithmetic 0
  int64_t first_index = 0;    // row-major index of the first that differs
};

struct DiffResult {
  int64_t equal = 0;  // tensors
  std::vector<TensorDiff> differences;
};

// With a tolerance dtypes may differ, as long as both are numbers. Reads both in pieces of a few
// MiB.
Result<DiffResult> CompareCheckpoints(const Checkpoint& a, const Checkpoint& b, const DiffOptions& options);

std::string DiffJson(const std::string& a, const std::string& b, const DiffResult& result);
std::string DiffText(const DiffResult& result, const Style& style, bool all);

}  // namespace ckmap
