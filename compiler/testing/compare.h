// Elements against elements, and how a difference is told.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/tensor/manifest.h"

namespace ckmap {

// One thing that is not as a test says.
struct TestFailure {
  std::string tensor;  // may be empty
  std::string message;
  std::vector<std::string> notes;
};

// nullopt: all elements are equal, bit for bit (NaNs equal each other), or differ by at most `tolerance`.
std::optional<TestFailure> Differences(const TensorInfo& info, std::span<const std::byte> found,
                                       std::span<const std::byte> expected, double tolerance);

// "[[1, 2], [3, 4]]", cut where it is long.
std::string FormatElements(std::span<const std::byte> bytes, DType dtype, const Shape& shape);

}  // namespace ckmap
