#include "runtime/tensor/numpy_types.h"

#include <algorithm>
#include <utility>

namespace ckmap {
namespace {

constexpr std::pair<std::string_view, DType> kCodes[] = {
    {"b1", DType::kBool}, {"i1", DType::kI8},  {"u1", DType::kU8},  {"i2", DType::kI16},  {"u2", DType::kU16},
    {"i4", DType::kI32},  {"u4", DType::kU32}, {"i8", DType::kI64}, {"u8", DType::kU64},  {"f2", DType::kF16},
    {"f4", DType::kF32},  {"f8", DType::kF64}, {"c8", DType::kC64}, {"c16", DType::kC128}};

}  // namespace

std::optional<DType> NumpyNumberType(std::string_view code) {
  for (const auto& [name, dtype] : kCodes) {
    if (code == name) return dtype;
  }
  return std::nullopt;
}

std::string_view NumpyTypeCode(DType wanted) {
  for (const auto& [name, dtype] : kCodes) {
    if (dtype == wanted) return name;
  }
  return "";
}

std::vector<int64_t> ColumnMajorStrides(const Shape& shape) {
  Shape reversed(shape.rbegin(), shape.rend());
  auto strides = RowMajorStrides(reversed);
  std::reverse(strides.begin(), strides.end());
  return strides;
}

}  // namespace ckmap
