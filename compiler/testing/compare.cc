#include "compiler/testing/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/exec/kernels/cast.h"
#include "runtime/report/numbers.h"

namespace ckmap {
namespace {

constexpr int64_t kShownElements = 64;

std::string Coordinates(int64_t index, const Shape& shape) {
  Shape at(shape.size());
  for (size_t k = shape.size(); k-- > 0;) {
    at[k] = index % shape[k];
    index /= shape[k];
  }
  return FormatShape(at);
}

uint64_t Bits(std::span<const std::byte> bytes, size_t element, size_t size) {
  uint64_t bits = 0;
  std::memcpy(&bits, bytes.data() + element * size, std::min<size_t>(size, 8));
  return bits;
}

std::string ElementText(std::span<const std::byte> bytes, size_t element, DType dtype) {
  const auto size = static_cast<size_t>(DTypeSize(dtype));
  if (IsNumber(dtype)) return FormatElement(dtype, Bits(bytes, element, size));
  std::string text = "0x";
  for (size_t i = size; i-- > 0;) text += fmt::format("{:02x}", static_cast<unsigned>(bytes[element * size + i]));
  return text;
}

std::string Describe(const TensorInfo& info) {
  return fmt::format("{} {} {}", QuoteName(info.name), DTypeName(info.dtype), FormatShape(info.shape));
}

// The elements of one tensor, told apart by how they must be equal.
class Comparison {
 public:
  Comparison(std::span<const std::byte> found, std::span<const std::byte> expected, DType dtype, double tolerance)
      : found_(found), expected_(expected), size_(static_cast<size_t>(DTypeSize(dtype))), tolerance_(tolerance) {
    if (!IsNumber(dtype)) return;
    ToNumbers(dtype, found, found_numbers_);
    ToNumbers(dtype, expected, expected_numbers_);
  }
  bool Equal(size_t element) const {
    if (std::memcmp(found_.data() + element * size_, expected_.data() + element * size_, size_) == 0) return true;
    if (found_numbers_.empty()) return false;
    const double found = found_numbers_[element], expected = expected_numbers_[element];
    if (std::isnan(found) || std::isnan(expected)) return std::isnan(found) && std::isnan(expected);
    return tolerance_ > 0 && std::fabs(found - expected) <= tolerance_;
  }

 private:
  std::span<const std::byte> found_, expected_;
  std::vector<double> found_numbers_, expected_numbers_;
  size_t size_;
  double tolerance_;
};

}  // namespace

std::optional<TestFailure> Differences(const TensorInfo& info, std::span<const std::byte> found,
                                       std::span<const std::byte> expected, double tolerance) {
  const auto size = static_cast<size_t>(DTypeSize(info.dtype));
  const size_t count = found.size() / size;
  if (expected.size() != found.size()) {
    return TestFailure{info.name,
                       fmt::format("{} has {}, expected {}", Describe(info),
                                   Plural(static_cast<int64_t>(count), "element"), expected.size() / size),
                       {}};
  }
  const Comparison comparison(found, expected, info.dtype, tolerance);
  size_t first = count, differ = 0;
  for (size_t element = 0; element < count; ++element) {
    if (comparison.Equal(element)) continue;
    if (differ++ == 0) first = element;
  }
  if (differ == 0) return std::nullopt;
  TestFailure failure;
  failure.tensor = info.name;
  if (count > 1) {
    failure.notes.push_back("found     " + FormatElements(found, info.dtype, info.shape));
    failure.notes.push_back("expected  " + FormatElements(expected, info.dtype, info.shape));
  }
  const std::string where =
      info.shape.empty() ? "" : fmt::format(", the first at {}", Coordinates(static_cast<int64_t>(first), info.shape));
  failure.message = fmt::format("{}: {} of {} {}{}: found {}, expected {}", Describe(info), differ,
                                Plural(static_cast<int64_t>(count), "element"), differ == 1 ? "differs" : "differ",
                                where, ElementText(found, first, info.dtype), ElementText(expected, first, info.dtype));
  return failure;
}

std::string FormatElements(std::span<const std::byte> bytes, DType dtype, const Shape& shape) {
  const int64_t count = NumElements(shape).value_or(0);
  std::string text;
  for (int64_t i = 0; i < std::min(count, kShownElements); ++i) {
    // Brackets open and close where the index of an axis wraps.
    size_t wraps = 0;
    int64_t rest = i;
    for (size_t k = shape.size(); k-- > 0 && rest % shape[k] == 0; rest /= shape[k]) ++wraps;
    if (i > 0) text += std::string(std::min(wraps, shape.size()), ']') + ", ";
    text += std::string(i == 0 ? shape.size() : wraps, '[') + ElementText(bytes, static_cast<size_t>(i), dtype);
  }
  if (count > kShownElements) return text + ", …";
  return text + std::string(shape.size(), ']');
}

}  // namespace ckmap
