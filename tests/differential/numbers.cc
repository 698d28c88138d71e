#include "tests/differential/numbers.h"

#include <cmath>
#include <limits>
#include <map>

namespace ckmap::testing {
namespace {

static_assert(std::numeric_limits<long double>::digits >= 64, "long double holds every 64-bit integer");

enum class Kind { kBool, kSigned, kUnsigned, kFloat, kPowers, kOther };

// A float: which bit patterns are not numbers depends on the family.
enum class Family { kIeee, kOneNan, kFnuz };

struct Format {
  Kind kind = Kind::kOther;
  int bytes = 1;
  int exponent_bits = 0, mantissa_bits = 0, bias = 0;
  Family family = Family::kIeee;

  uint64_t sign() const { return uint64_t{1} << (exponent_bits + mantissa_bits); }
  uint64_t exponent_of(uint64_t bits) const { return bits >> mantissa_bits & ((uint64_t{1} << exponent_bits) - 1); }
  uint64_t mantissa_of(uint64_t bits) const { return bits & ((uint64_t{1} << mantissa_bits) - 1); }
  uint64_t infinity() const { return ((uint64_t{1} << exponent_bits) - 1) << mantissa_bits; }
  uint64_t largest() const {
    if (family == Family::kIeee) return infinity() - 1;
    return sign() - (family == Family::kFnuz ? 1 : 2);
  }
  bool is_nan(uint64_t bits) const {
    if (family == Family::kFnuz) return bits == sign();
    if (family == Family::kOneNan) return (bits & (sign() - 1)) == sign() - 1;
    return exponent_of(bits) == (uint64_t{1} << exponent_bits) - 1 && mantissa_of(bits) != 0;
  }
  bool is_infinite(uint64_t bits) const { return family == Family::kIeee && (bits & (sign() - 1)) == infinity(); }
};

const Format& FormatOf(const std::string& dtype) {
  static const std::map<std::string, Format> formats = {
      {"bool", {Kind::kBool, 1}},
      {"i8", {Kind::kSigned, 1}},
      {"i16", {Kind::kSigned, 2}},
      {"i32", {Kind::kSigned, 4}},
      {"i64", {Kind::kSigned, 8}},
      {"u8", {Kind::kUnsigned, 1}},
      {"u16", {Kind::kUnsigned, 2}},
      {"u32", {Kind::kUnsigned, 4}},
      {"u64", {Kind::kUnsigned, 8}},
      {"f16", {Kind::kFloat, 2, 5, 10, 15}},
      {"bf16", {Kind::kFloat, 2, 8, 7, 127}},
      {"f32", {Kind::kFloat, 4, 8, 23, 127}},
      {"f64", {Kind::kFloat, 8, 11, 52, 1023}},
      {"f8_e5m2", {Kind::kFloat, 1, 5, 2, 15}},
      {"f8_e4m3", {Kind::kFloat, 1, 4, 3, 7, Family::kOneNan}},
      {"f8_e4m3fnuz", {Kind::kFloat, 1, 4, 3, 8, Family::kFnuz}},
      {"f8_e5m2fnuz", {Kind::kFloat, 1, 5, 2, 16, Family::kFnuz}},
      {"f8_e8m0", {Kind::kPowers, 1}},
      {"c64", {Kind::kOther, 8}},
      {"c128", {Kind::kOther, 16}},
  };
  return formats.at(dtype);
}

long double Float(const Format& format, uint64_t bits) {
  if (format.is_nan(bits)) return std::numeric_limits<long double>::quiet_NaN();
  const bool negative = (bits & format.sign()) != 0;
  long double value = 0;
  const auto exponent = static_cast<int>(format.exponent_of(bits));
  const auto mantissa = static_cast<long double>(format.mantissa_of(bits));
  if (format.is_infinite(bits)) {
    value = std::numeric_limits<long double>::infinity();
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, 1 - format.bias - format.mantissa_bits);
  } else {
    value =
        std::ldexp(mantissa + std::ldexp(1.0L, format.mantissa_bits), exponent - format.bias - format.mantissa_bits);
  }
  return negative ? -value : value;
}

uint64_t QuietNan(const Format& format) {
  if (format.family == Family::kFnuz) return format.sign();
  if (format.family == Family::kOneNan) return format.sign() - 1;
  return format.infinity() | uint64_t{1} << (format.mantissa_bits - 1);
}

Encoded EncodeFloat(const Format& format, long double value, Overflows overflow) {
  if (std::isnan(value)) return {QuietNan(format), false};
  const uint64_t sign = std::signbit(value) ? format.sign() : 0;
  const long double magnitude = std::fabs(value);
  const auto beyond = [&]() -> Encoded {
    return {sign | (overflow == Overflows::kSaturate ? format.largest() : format.infinity()), true};
  };
  if (std::isinf(value)) {
    if (format.family == Family::kIeee) return {sign | format.infinity(), false};
    return beyond();
  }
  int exponent = 1 - format.bias;
  if (magnitude > 0) exponent = std::max(exponent, std::ilogb(magnitude));
  // How often the last bit goes into it, to nearest, ties to even.
  const long double units = std::rint(std::ldexp(magnitude, format.mantissa_bits - exponent));
  const auto whole = static_cast<uint64_t>(units);
  const uint64_t hidden = uint64_t{1} << format.mantissa_bits;
  // Subnormal numbers have exponent code 0, the others one more than their exponent is above the least.
  const uint64_t code =
      whole < hidden ? whole
                     : (static_cast<uint64_t>(exponent + format.bias) << format.mantissa_bits) + (whole - hidden);
  if (exponent + format.bias >= 1 << format.exponent_bits || code > format.largest()) return beyond();
  if (code == 0 && format.family == Family::kFnuz) return {0, false};
  return {sign | code, false};
}

}  // namespace

int BytesOf(const std::string& dtype) { return FormatOf(dtype).bytes; }
bool IsFloatName(const std::string& dtype) { return FormatOf(dtype).kind == Kind::kFloat; }
bool IsIntegerName(const std::string& dtype) {
  const Kind kind = FormatOf(dtype).kind;
  return kind == Kind::kSigned || kind == Kind::kUnsigned;
}
bool IsNumberName(const std::string& dtype) { return IsFloatName(dtype) || IsIntegerName(dtype); }

long double ValueOf(const std::string& dtype, uint64_t bits) {
  const Format& format = FormatOf(dtype);
  switch (format.kind) {
    case Kind::kBool:
      return bits != 0 ? 1 : 0;
    case Kind::kUnsigned:
      return static_cast<long double>(bits);
    case Kind::kSigned: {
      const int unused = 64 - 8 * format.bytes;
      return static_cast<long double>(static_cast<int64_t>(bits << unused) >> unused);
    }
    case Kind::kPowers:
      return bits == 0xff ? std::numeric_limits<long double>::quiet_NaN()
                          : std::ldexp(1.0L, static_cast<int>(bits) - 127);
    case Kind::kFloat:
      return Float(format, bits);
    case Kind::kOther:
      break;
  }
  return std::numeric_limits<long double>::quiet_NaN();
}

Encoded Encode(const std::string& dtype, long double value, Overflows overflow) {
  const Format& format = FormatOf(dtype);
  if (format.kind == Kind::kFloat) return EncodeFloat(format, value, overflow);
  if (std::isnan(value)) return {0, true};
  const int width = 8 * format.bytes;
  const bool is_signed = format.kind == Kind::kSigned;
  const long double high = std::ldexp(1.0L, is_signed ? width - 1 : width) - 1, low = is_signed ? -high - 1 : 0;
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  const long double whole = std::rint(value);
  const bool beyond = whole > high || whole < low;
  const long double kept = beyond ? (whole > high ? high : low) : whole;
  const uint64_t bits = kept < 0 ? ~static_cast<uint64_t>(-kept) + 1 : static_cast<uint64_t>(kept);
  return {bits & mask, beyond};
}

Encoded CastBits(const std::string& from, const std::string& to, uint64_t bits, Overflows overflow) {
  if (from == to) return {bits, false};
  const Format &a = FormatOf(from), &b = FormatOf(to);
  if (!(a.kind == Kind::kFloat && b.kind == Kind::kFloat && a.is_nan(bits)))
    return Encode(to, ValueOf(from, bits), overflow);
  if (b.family == Family::kFnuz) return {b.sign(), false};
  const bool negative = a.family != Family::kFnuz && (bits & a.sign()) != 0;
  const uint64_t sign = negative || a.family == Family::kFnuz ? b.sign() : 0;
  if (b.family == Family::kOneNan) return {sign | (b.sign() - 1), false};
  // The payload, leading bits first. A format with one NaN has that of a quiet one, or all ones.
  uint64_t payload = a.mantissa_of(bits);
  int digits = a.mantissa_bits;
  if (payload == 0) {
    payload = 1;
    digits = 1;
  }
  bool lost = false;
  if (digits > b.mantissa_bits) {
    payload >>= digits - b.mantissa_bits;
    lost = true;
  } else {
    payload <<= b.mantissa_bits - digits;
  }
  if (lost || payload == 0) payload |= uint64_t{1} << (b.mantissa_bits - 1);
  return {sign | b.infinity() | payload, false};
}

std::optional<uint64_t> Negated(const std::string& dtype, uint64_t bits) {
  const Format& format = FormatOf(dtype);
  if (format.kind == Kind::kFloat) {
    if (format.family == Family::kFnuz && (bits & (format.sign() - 1)) == 0) return bits;
    return bits ^ format.sign();
  }
  const Encoded result = Encode(dtype, -ValueOf(dtype, bits), Overflows::kError);
  return result.overflowed ? std::nullopt : std::optional(result.bits);
}

}  // namespace ckmap::testing
