// CastElement takes a value apart into sign, 64-bit integer and power of two, which holds every
// element of every dtype exactly, and rounds that once.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

#include <fmt/format.h>

#include "runtime/ops/element_op.h"

namespace ckmap {
namespace {

enum class Specials { kIeee, kNoInfinity, kNoInfinityNoMinusZero };

struct FloatFormat {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  Specials specials;

  uint64_t mantissa_mask() const { return (uint64_t{1} << mantissa_bits) - 1; }
  uint64_t exponent_mask() const { return (uint64_t{1} << exponent_bits) - 1; }
  uint64_t sign_bit() const { return uint64_t{1} << (exponent_bits + mantissa_bits); }
  // The largest finite magnitude.
  uint64_t max_bits() const {
    const uint64_t all = sign_bit() - 1;
    switch (specials) {
      case Specials::kIeee:
        return all - (uint64_t{1} << mantissa_bits);
      case Specials::kNoInfinity:
        return all - 1;
      case Specials::kNoInfinityNoMinusZero:
        return all;
    }
    return all;
  }
  uint64_t infinity() const { return exponent_mask() << mantissa_bits; }
};

std::optional<FloatFormat> FormatOf(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return FloatFormat{5, 10, 15, Specials::kIeee};
    case DType::kBF16:
      return FloatFormat{8, 7, 127, Specials::kIeee};
    case DType::kF32:
      return FloatFormat{8, 23, 127, Specials::kIeee};
    case DType::kF64:
      return FloatFormat{11, 52, 1023, Specials::kIeee};
    case DType::kF8E5M2:
      return FloatFormat{5, 2, 15, Specials::kIeee};
    case DType::kF8E4M3:
      return FloatFormat{4, 3, 7, Specials::kNoInfinity};
    case DType::kF8E4M3Fnuz:
      return FloatFormat{4, 3, 8, Specials::kNoInfinityNoMinusZero};
    case DType::kF8E5M2Fnuz:
      return FloatFormat{5, 2, 16, Specials::kNoInfinityNoMinusZero};
    default:
      return std::nullopt;
  }
}

bool IsSignedInteger(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kI16 || dtype == DType::kI32 || dtype == DType::kI64;
}

// magnitude * 2^exponent, or a special value.
struct Parts {
  enum Kind { kFinite, kInfinite, kNan } kind = kFinite;
  bool negative = false;
  uint64_t magnitude = 0;  // of a NaN: its payload, leading bit at bit 63
  int exponent = 0;
};

Parts DecodeFloat(const FloatFormat& format, uint64_t bits) {
  Parts number;
  number.negative = (bits & format.sign_bit()) != 0;
  const uint64_t mantissa = bits & format.mantissa_mask();
  const uint64_t exponent = (bits >> format.mantissa_bits) & format.exponent_mask();
  const uint64_t body = bits & (format.sign_bit() - 1);
  bool nan = false;
  switch (format.specials) {
    case Specials::kIeee:
      nan = body > format.infinity();
      if (body == format.infinity()) number.kind = Parts::kInfinite;
      break;
    case Specials::kNoInfinity:
      nan = body == format.sign_bit() - 1;
      break;
    case Specials::kNoInfinityNoMinusZero:
      nan = bits == format.sign_bit();
      break;
  }
  if (nan) {
    number.kind = Parts::kNan;
    number.magnitude = mantissa << (64 - format.mantissa_bits);
    if (number.magnitude == 0) number.magnitude = uint64_t{1} << 63;
    return number;
  }
  const int unit = 1 - format.bias - format.mantissa_bits;  // exponent of the smallest subnormal
  if (exponent == 0) {
    number.magnitude = mantissa;
    number.exponent = unit;
  } else {
    number.magnitude = mantissa | (uint64_t{1} << format.mantissa_bits);
    number.exponent = unit + static_cast<int>(exponent) - 1;
  }
  return number;
}

Parts Decode(DType dtype, uint64_t bits) {
  if (const auto format = FormatOf(dtype)) return DecodeFloat(*format, bits);
  Parts number;
  if (dtype == DType::kF8E8M0) {
    if (bits == 0xff) return {Parts::kNan, false, uint64_t{1} << 63, 0};
    return {Parts::kFinite, false, 1, static_cast<int>(bits) - 127};
  }
  if (dtype == DType::kBool) {
    number.magnitude = bits != 0 ? 1 : 0;
    return number;
  }
  const int width = DTypeBits(dtype);
  if (IsSignedInteger(dtype) && ((bits >> (width - 1)) & 1) != 0) {
    number.negative = true;
    number.magnitude = ~bits + 1;
    if (width < 64) number.magnitude &= (uint64_t{1} << width) - 1;
  } else {
    number.magnitude = bits;
  }
  return number;
}

// Divides by 2^shift (shift >= 1), to nearest, ties to even.
uint64_t RoundShift(uint64_t value, int shift, bool& inexact) {
  if (shift > 64) {
    inexact = inexact || value != 0;
    return 0;
  }
  const uint64_t kept = shift == 64 ? 0 : value >> shift;
  const uint64_t lost = shift == 64 ? value : value & ((uint64_t{1} << shift) - 1);
  const uint64_t half = uint64_t{1} << (shift - 1);
  inexact = inexact || lost != 0;
  return kept + ((lost > half || (lost == half && (kept & 1) != 0)) ? 1 : 0);
}

ElementResult OverflowFloat(const FloatFormat& format, bool negative, Overflow overflow) {
  ElementResult out{0, true, true};
  out.bits = overflow == Overflow::kSaturate ? format.max_bits() : format.infinity();
  if (negative) out.bits |= format.sign_bit();
  return out;
}

ElementResult EncodeFloat(const FloatFormat& format, const Parts& number, Overflow overflow) {
  const bool fnuz = format.specials == Specials::kNoInfinityNoMinusZero;
  const uint64_t sign = number.negative ? format.sign_bit() : 0;
  if (number.kind == Parts::kNan) {
    if (fnuz) return {format.sign_bit(), false, false};
    if (format.specials == Specials::kNoInfinity) return {sign | (format.sign_bit() - 1), false, false};
    uint64_t payload = number.magnitude >> (64 - format.mantissa_bits);
    const bool lost = number.exponent > format.mantissa_bits || payload == 0;
    if (lost) payload |= uint64_t{1} << (format.mantissa_bits - 1);
    return {sign | format.infinity() | payload, false, false};
  }
  if (number.kind == Parts::kInfinite) {
    if (format.specials == Specials::kIeee) return {sign | format.infinity(), false, false};
    return OverflowFloat(format, number.negative, overflow);
  }
  if (number.magnitude == 0) return {fnuz ? 0 : sign, false, false};
  const int unit = 1 - format.bias - format.mantissa_bits;
  const int top = 63 - std::countl_zero(number.magnitude) + number.exponent;  // of the leading bit
  // Exponent of the last bit that the result keeps.
  const int last = std::max(unit, top - format.mantissa_bits);
  bool inexact = false;
  const int shift = last - number.exponent;
  const uint64_t kept = shift <= 0 ? number.magnitude << -shift : RoundShift(number.magnitude, shift, inexact);
  // A carry out of the rounding moves into the exponent by itself.
  const uint64_t hidden = uint64_t{1} << format.mantissa_bits;
  const uint64_t body = last == unit ? kept : (static_cast<uint64_t>(last - unit) << format.mantissa_bits) + kept;
  const bool too_large =
      last - unit > static_cast<int>(format.exponent_mask()) || body > format.max_bits() || kept > 2 * hidden;
  if (too_large) return OverflowFloat(format, number.negative, overflow);
  if (body == 0 && fnuz) return {0, false, inexact};
  return {sign | body, false, inexact};
}

ElementResult EncodeInteger(DType dtype, const Parts& number) {
  const int width = DTypeBits(dtype);
  const bool is_signed = IsSignedInteger(dtype);
  const uint64_t max =
      is_signed ? (uint64_t{1} << (width - 1)) - 1 : (width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1);
  const uint64_t limit = number.negative ? (is_signed ? max + 1 : 0) : max;
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  if (number.kind == Parts::kNan) return {0, true, true};
  bool inexact = false;
  uint64_t magnitude = number.magnitude;
  bool overflowed = number.kind == Parts::kInfinite;
  if (!overflowed && number.exponent < 0) {
    magnitude = RoundShift(magnitude, -number.exponent, inexact);
  } else if (!overflowed && magnitude != 0) {
    overflowed = number.exponent > std::countl_zero(magnitude);
    if (!overflowed) magnitude <<= number.exponent;
  }
  overflowed = overflowed || magnitude > limit;
  if (overflowed) magnitude = limit;
  const uint64_t bits = (number.negative ? ~magnitude + 1 : magnitude) & mask;
  return {bits, overflowed, overflowed || inexact};
}

}  // namespace

bool CanCast(const CastOp& cast) {
  const bool from =
      cast.from == DType::kBool || IsInteger(cast.from) || FormatOf(cast.from) || cast.from == DType::kF8E8M0;
  const auto to = FormatOf(cast.to);
  if (!from || !(to || IsInteger(cast.to))) return cast.from == cast.to;
  return cast.overflow != Overflow::kInf || (to && to->specials == Specials::kIeee);
}

ElementResult CastElement(const CastOp& cast, uint64_t bits) {
  if (cast.from == cast.to) return {bits, false, false};
  Parts number = Decode(cast.from, bits);
  const auto to = FormatOf(cast.to);
  if (!to) return EncodeInteger(cast.to, number);
  // For a NaN the exponent tells how many bits of payload there are.
  const auto from = FormatOf(cast.from);
  if (number.kind == Parts::kNan) number.exponent = from ? from->mantissa_bits : 0;
  return EncodeFloat(*to, number, cast.overflow);
}

std::string FormatElement(DType dtype, uint64_t bits) {
  const Parts number = Decode(dtype, bits);
  const char* sign = number.negative ? "-" : "";
  if (number.kind == Parts::kNan) return "nan";
  if (number.kind == Parts::kInfinite) return fmt::format("{}inf", sign);
  if (number.exponent == 0) return fmt::format("{}{}", sign, number.magnitude);
  const double value = std::ldexp(static_cast<double>(number.magnitude), number.exponent);
  if (dtype == DType::kF64) return fmt::format("{}{}", sign, value);
  return fmt::format("{}{}", sign, static_cast<float>(value));
}

}  // namespace ckmap
