#include "runtime/tensor/scalar_bytes.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ckmap {
namespace {

std::vector<std::byte> LittleEndian(uint64_t bits, int64_t size) {
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(bits >> (8 * i));
  return bytes;
}

// A small IEEE-like float: sign, `exponent_bits`, `mantissa_bits`. `max_code` is the greatest finite
// magnitude's code.
std::optional<uint64_t> SmallFloat(double value, int exponent_bits, int mantissa_bits, uint64_t max_code,
                                   uint64_t infinity_code, uint64_t nan_code) {
  const uint64_t sign = std::signbit(value) ? uint64_t{1} << (exponent_bits + mantissa_bits) : 0;
  if (std::isnan(value)) return sign | nan_code;
  if (std::isinf(value)) {
    if (infinity_code == 0) return std::nullopt;
    return sign | infinity_code;
  }
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  int exponent = std::ilogb(magnitude);
  if (exponent < 1 - bias) exponent = 1 - bias;  // subnormal
  // Units in the last place, rounded to even by the current (default) rounding mode.
  const double units = std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent));
  const uint64_t whole = static_cast<uint64_t>(units);
  // A carry out of the mantissa lands in the exponent, as it should.
  const uint64_t code = whole + (static_cast<uint64_t>(exponent - (1 - bias)) << mantissa_bits);
  if (code > max_code) return std::nullopt;
  return sign | code;
}

template <typename Int>
std::optional<uint64_t> Integer(double value) {
  if (!(value == std::floor(value))) return std::nullopt;
  constexpr double kLow = static_cast<double>(std::numeric_limits<Int>::min());
  const double high = std::ldexp(1.0, std::numeric_limits<Int>::digits);  // one past the greatest
  if (value < kLow || value >= high) return std::nullopt;
  return static_cast<uint64_t>(static_cast<Int>(value));
}

std::optional<uint64_t> Bits(double value, DType dtype) {
  switch (dtype) {
    case DType::kBool:
      if (value != 0 && value != 1) return std::nullopt;
      return static_cast<uint64_t>(value);
    case DType::kI8: return Integer<int8_t>(value);
    case DType::kU8: return Integer<uint8_t>(value);
    case DType::kI16: return Integer<int16_t>(value);
    case DType::kU16: return Integer<uint16_t>(value);
    case DType::kI32: return Integer<int32_t>(value);
    case DType::kU32: return Integer<uint32_t>(value);
    case DType::kI64: return Integer<int64_t>(value);
    case DType::kU64: return Integer<uint64_t>(value);
    case DType::kF16: return SmallFloat(value, 5, 10, 0x7bff, 0x7c00, 0x7e00);
    case DType::kBF16: return SmallFloat(value, 8, 7, 0x7f7f, 0x7f80, 0x7fc0);
    case DType::kF8E4M3: return SmallFloat(value, 4, 3, 0x7e, 0, 0x7f);
    case DType::kF8E5M2: return SmallFloat(value, 5, 2, 0x7b, 0x7c, 0x7e);
    case DType::kF32: {
      if (std::isfinite(value) && std::fabs(value) > std::numeric_limits<float>::max()) return std::nullopt;
      return std::bit_cast<uint32_t>(static_cast<float>(value));
    }
    case DType::kF64: return std::bit_cast<uint64_t>(value);
    case DType::kC64: {
      const auto real = Bits(value, DType::kF32);
      return real;  // the imaginary half is zero
    }
    default: return std::nullopt;
  }
}

double FromSmallFloat(uint64_t bits, int exponent_bits, int mantissa_bits, bool has_infinity) {
  const uint64_t mantissa = bits & ((uint64_t{1} << mantissa_bits) - 1);
  const auto exponent = static_cast<int>(bits >> mantissa_bits & ((uint64_t{1} << exponent_bits) - 1));
  const bool negative = (bits >> (exponent_bits + mantissa_bits) & 1) != 0;
  const int top = (1 << exponent_bits) - 1, bias = (1 << (exponent_bits - 1)) - 1;
  double value = 0;
  if (has_infinity ? exponent == top : exponent == top && mantissa == (uint64_t{1} << mantissa_bits) - 1) {
    value = has_infinity && mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<double>(mantissa), 1 - bias - mantissa_bits);
  } else {
    value = std::ldexp(static_cast<double>(mantissa + (uint64_t{1} << mantissa_bits)), exponent - bias - mantissa_bits);
  }
  return negative ? -value : value;
}

template <typename Int>
std::optional<double> FromInteger(uint64_t bits) {
  const auto number = static_cast<double>(static_cast<Int>(bits));
  return std::fabs(number) < 0x1p53 ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<double> ScalarValue(std::span<const std::byte> bytes, DType dtype) {
  uint64_t bits = 0;
  for (size_t i = 0; i < bytes.size() && i < 8; ++i) bits |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  switch (dtype) {
    case DType::kBool: return bits != 0 ? 1 : 0;
    case DType::kI8: return FromInteger<int8_t>(bits);
    case DType::kU8: return FromInteger<uint8_t>(bits);
    case DType::kI16: return FromInteger<int16_t>(bits);
    case DType::kU16: return FromInteger<uint16_t>(bits);
    case DType::kI32: return FromInteger<int32_t>(bits);
    case DType::kU32: return FromInteger<uint32_t>(bits);
    case DType::kI64: return FromInteger<int64_t>(bits);
    case DType::kU64: return FromInteger<uint64_t>(bits);
    case DType::kF16: return FromSmallFloat(bits, 5, 10, true);
    case DType::kBF16: return FromSmallFloat(bits, 8, 7, true);
    case DType::kF8E4M3: return FromSmallFloat(bits, 4, 3, false);
    case DType::kF8E5M2: return FromSmallFloat(bits, 5, 2, true);
    case DType::kF32: return std::bit_cast<float>(static_cast<uint32_t>(bits));
    case DType::kF64: return std::bit_cast<double>(bits);
    default: return std::nullopt;
  }
}

std::optional<std::vector<std::byte>> ScalarBytes(double value, DType dtype) {
  if (DTypeBits(dtype) == 0 || DTypeBits(dtype) % 8 != 0) return std::nullopt;
  if (dtype == DType::kC128) {
    std::vector<std::byte> bytes = LittleEndian(std::bit_cast<uint64_t>(value), 8);
    bytes.resize(16);
    return bytes;
  }
  // All bits zero is zero in every type.
  if (value == 0 && !std::signbit(value)) {
    return std::vector<std::byte>(static_cast<size_t>(DTypeSize(dtype)));
  }
  const auto bits = Bits(value, dtype);
  if (!bits) return std::nullopt;
  return LittleEndian(*bits, DTypeSize(dtype));
}

}  // namespace ckmap
