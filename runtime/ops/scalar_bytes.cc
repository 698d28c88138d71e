#include "runtime/ops/scalar_bytes.h"

#include <bit>
#include <cmath>

#include "runtime/ops/element_op.h"

namespace ckmap {
namespace {

// An f8_e8m0 is a power of two, or a NaN: it has no zero and no sign.
std::optional<uint64_t> PowerOfTwo(double value) {
  if (std::isnan(value)) return 0xff;
  int exponent = 0;
  if (std::frexp(value, &exponent) != 0.5 || exponent - 1 < -127 || exponent - 1 > 127) return std::nullopt;
  return static_cast<uint64_t>(exponent - 1 + 127);
}

std::optional<uint64_t> Bits(const Number& number, DType dtype) {
  if (dtype == DType::kF8E8M0) {
    const auto real = ExactDouble(number);
    return real ? PowerOfTwo(*real) : std::nullopt;
  }
  const int64_t* integer = std::get_if<int64_t>(&number);
  if (dtype == DType::kBool) {
    const auto real = ExactDouble(number);
    return real == 0.0 || real == 1.0 ? std::optional(static_cast<uint64_t>(*real)) : std::nullopt;
  }
  if (IsInteger(dtype) && MayBeRounded(number)) return std::nullopt;
  const CastOp cast{integer != nullptr ? DType::kI64 : DType::kF64, dtype, Overflow::kError};
  if (!CanCast(cast)) return std::nullopt;
  const ElementResult result = CastElement(
      cast, integer != nullptr ? static_cast<uint64_t>(*integer) : std::bit_cast<uint64_t>(std::get<double>(number)));
  const bool exact = integer != nullptr || IsInteger(dtype);
  if (result.overflowed || (exact && result.changed)) return std::nullopt;
  return result.bits;
}

DType RealPart(DType dtype) {
  return dtype == DType::kC32    ? DType::kF16
         : dtype == DType::kC64  ? DType::kF32
         : dtype == DType::kC128 ? DType::kF64
                                 : dtype;
}

}  // namespace

std::optional<std::vector<std::byte>> ScalarBytes(const Number& number, DType dtype) {
  if (DTypeBits(dtype) == 0 || DTypeBits(dtype) % 8 != 0) return std::nullopt;
  std::vector<std::byte> bytes(static_cast<size_t>(DTypeSize(dtype)));
  // i4 and f4 are bytes of two elements: zero is the only number that both can be at once without a choice.
  if (dtype == DType::kI4 || dtype == DType::kF4) return IsZero(number) ? std::optional(bytes) : std::nullopt;
  const auto bits = Bits(number, RealPart(dtype));
  if (!bits) return std::nullopt;
  for (int64_t i = 0; i < DTypeSize(RealPart(dtype)); ++i)
    bytes[static_cast<size_t>(i)] = static_cast<std::byte>(*bits >> (8 * i));
  return bytes;
}

}  // namespace ckmap
