#include "runtime/bind/values/fill.h"

#include <fmt/format.h>

#include "runtime/tensor/scalar_bytes.h"

namespace ckmap {
namespace {

Error DoesNotHold(DType dtype, double number) {
  return {ErrorCode::kMismatch, fmt::format("{} cannot hold the padding, which is {}", DTypeName(dtype), number)};
}

}  // namespace

Result<void> TakeFill(double number, TensorValue& tensor) {
  const auto bytes = ScalarBytes(number, tensor.dtype);
  if (!bytes) return DoesNotHold(tensor.dtype, number);
  return TakeFill(*bytes, tensor);
}

Result<void> TakeFill(const std::vector<std::byte>& bytes, TensorValue& tensor) {
  if (tensor.fill.empty()) tensor.fill = bytes;
  if (tensor.fill == bytes) return {};
  return Error(ErrorCode::kMismatch, fmt::format("{} would be padded with two different numbers", tensor.name));
}

Result<void> CastFill(std::vector<std::byte>& fill, DType from, DType to) {
  if (fill.empty()) return {};
  const auto number = ScalarValue(fill, from);
  const auto bytes = number ? ScalarBytes(*number, to) : std::nullopt;
  if (!bytes) return DoesNotHold(to, number.value_or(0));
  fill = *bytes;
  return {};
}

}  // namespace ckmap
