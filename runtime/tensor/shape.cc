#include "runtime/tensor/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ckmap {
namespace {

constexpr int64_t kMaxCount = int64_t{1} << 62;

}  // namespace

std::optional<int64_t> NumElements(const Shape& shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) {
      empty = true;
    } else if (count > kMaxCount / size) {
      return std::nullopt;
    } else {
      count *= size;
    }
  }
  return empty ? 0 : count;
}

std::optional<int64_t> NumBytes(const Shape& shape, DType dtype) {
  const auto count = NumElements(shape);
  const int64_t bits = DTypeBits(dtype);
  if (!count || bits == 0 || (*count != 0 && bits > kMaxCount / *count)) return std::nullopt;
  const int64_t total = *count * bits;
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
