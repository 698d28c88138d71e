#include "runtime/tensor/shape.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ckmap {
namespace {

constexpr int64_t kMaxCount = int64_t{1} << 62;

bool IsEmpty(const Shape& shape) { return std::find(shape.begin(), shape.end(), 0) != shape.end(); }

// Product of the sizes other than 0, which is what strides are made of.
std::optional<int64_t> Extent(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || (size > 0 && count > kMaxCount / size)) return std::nullopt;
    count *= size == 0 ? 1 : size;
  }
  return count;
}

}  // namespace

std::optional<int64_t> NumElements(const Shape& shape) {
  const auto extent = Extent(shape);
  return extent && IsEmpty(shape) ? 0 : extent;
}

std::optional<int64_t> NumBytes(const Shape& shape, DType dtype) {
  const auto extent = Extent(shape);
  const int64_t bits = DTypeBits(dtype);
  // Of an empty tensor too: its strides are computed with.
  if (!extent || bits == 0 || bits > kMaxCount / *extent) return std::nullopt;
  const int64_t total = IsEmpty(shape) ? 0 : *extent * bits;
  if (total % 8 != 0) return std::nullopt;
  return total / 8;
}

std::vector<int64_t> RowMajorStrides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= shape[axis] == 0 ? 1 : shape[axis];
  }
  return strides;
}

std::string FormatShape(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace ckmap
