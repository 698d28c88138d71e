#include "runtime/bind/values/fill.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runtime/ops/scalar_bytes.h"

namespace ckmap {

Result<void> TakeFill(const Number& number, TensorValue& tensor) {
  const auto bytes = ScalarBytes(number, tensor.dtype);
  if (bytes) return TakeFill(*bytes, tensor);
  if (IsInteger(tensor.dtype) && MayBeRounded(number)) {
    return Error(ErrorCode::kMismatch, fmt::format("the padding of {} ({}) is {}: {}", tensor.name,
                                                   DTypeName(tensor.dtype), FormatNumber(number), kWriteAllDigits));
  }
  return Error(ErrorCode::kMismatch, fmt::format("{} cannot hold the padding of {}, which is {}",
                                                 DTypeName(tensor.dtype), tensor.name, FormatNumber(number)));
}

Result<void> TakeFill(const std::vector<std::byte>& bytes, TensorValue& tensor) {
  if (tensor.fill.empty()) tensor.fill = bytes;
  if (tensor.fill == bytes) return {};
  return Error(ErrorCode::kMismatch, fmt::format("{} would be padded with two different numbers", tensor.name));
}

Result<void> ApplyToFill(const ElementOp& op, PiecedTensor& tensor) {
  if (tensor.fill.empty() || op.kind == ElementOp::Kind::kBitcast) return {};
  if (op.kind == ElementOp::Kind::kByteswap) {
    std::reverse(tensor.fill.begin(), tensor.fill.end());
    return {};
  }
  uint64_t bits = 0;
  std::memcpy(&bits, tensor.fill.data(), tensor.fill.size());
  const ElementResult result = ApplyToElement(op, bits);
  if (result.overflowed && op.overflow == Overflow::kError) {
    return Error(ErrorCode::kMismatch, fmt::format("{} cannot hold what {} makes of the padding, which is {}",
                                                   DTypeName(op.to), FormatOp(op), FormatElement(op.from, bits)));
  }
  tensor.fill.resize(static_cast<size_t>(DTypeSize(op.to)));
  std::memcpy(tensor.fill.data(), &result.bits, tensor.fill.size());
  return {};
}

}  // namespace ckmap
