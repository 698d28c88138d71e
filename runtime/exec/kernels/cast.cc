// CastElement takes a value apart into sign, 64-bit integer and power of two, which holds every
// element of every dtype exactly, and rounds that once. 8- and 16-bit sources go through tables made
// with it, the common wide ones through vector kernels (cast_kernels.cc).
#include "runtime/exec/kernels/cast.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "runtime/exec/kernels/cast_kernels.h"

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
      case Specials::kIeee: return all - (uint64_t{1} << mantissa_bits);
      case Specials::kNoInfinity: return all - 1;
      case Specials::kNoInfinityNoMinusZero: return all;
    }
    return all;
  }
  uint64_t infinity() const { return exponent_mask() << mantissa_bits; }
};

std::optional<FloatFormat> FormatOf(DType dtype) {
  switch (dtype) {
    case DType::kF16: return FloatFormat{5, 10, 15, Specials::kIeee};
    case DType::kBF16: return FloatFormat{8, 7, 127, Specials::kIeee};
    case DType::kF32: return FloatFormat{8, 23, 127, Specials::kIeee};
    case DType::kF64: return FloatFormat{11, 52, 1023, Specials::kIeee};
    case DType::kF8E5M2: return FloatFormat{5, 2, 15, Specials::kIeee};
    case DType::kF8E4M3: return FloatFormat{4, 3, 7, Specials::kNoInfinity};
    case DType::kF8E4M3Fnuz: return FloatFormat{4, 3, 8, Specials::kNoInfinityNoMinusZero};
    case DType::kF8E5M2Fnuz: return FloatFormat{5, 2, 16, Specials::kNoInfinityNoMinusZero};
    default: return std::nullopt;
  }
}

bool IsSignedInteger(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kI16 || dtype == DType::kI32 || dtype == DType::kI64;
}

// magnitude * 2^exponent, or a special value.
struct Number {
  enum Kind { kFinite, kInfinite, kNan } kind = kFinite;
  bool negative = false;
  uint64_t magnitude = 0;  // of a NaN: its payload, leading bit at bit 63
  int exponent = 0;
};

Number DecodeFloat(const FloatFormat& format, uint64_t bits) {
  Number number;
  number.negative = (bits & format.sign_bit()) != 0;
  const uint64_t mantissa = bits & format.mantissa_mask();
  const uint64_t exponent = (bits >> format.mantissa_bits) & format.exponent_mask();
  const uint64_t body = bits & (format.sign_bit() - 1);
  bool nan = false;
  switch (format.specials) {
    case Specials::kIeee:
      nan = body > format.infinity();
      if (body == format.infinity()) number.kind = Number::kInfinite;
      break;
    case Specials::kNoInfinity: nan = body == format.sign_bit() - 1; break;
    case Specials::kNoInfinityNoMinusZero: nan = bits == format.sign_bit(); break;
  }
  if (nan) {
    number.kind = Number::kNan;
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

Number Decode(DType dtype, uint64_t bits) {
  if (const auto format = FormatOf(dtype)) return DecodeFloat(*format, bits);
  Number number;
  if (dtype == DType::kF8E8M0) {
    if (bits == 0xff) return {Number::kNan, false, uint64_t{1} << 63, 0};
    return {Number::kFinite, false, 1, static_cast<int>(bits) - 127};
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

CastOne OverflowFloat(const FloatFormat& format, bool negative, Overflow overflow) {
  CastOne out{0, true, true};
  out.bits = overflow == Overflow::kSaturate ? format.max_bits() : format.infinity();
  if (negative) out.bits |= format.sign_bit();
  return out;
}

CastOne EncodeFloat(const FloatFormat& format, const Number& number, Overflow overflow) {
  const bool fnuz = format.specials == Specials::kNoInfinityNoMinusZero;
  const uint64_t sign = number.negative ? format.sign_bit() : 0;
  if (number.kind == Number::kNan) {
    if (fnuz) return {format.sign_bit(), false, false};
    if (format.specials == Specials::kNoInfinity) return {sign | (format.sign_bit() - 1), false, false};
    uint64_t payload = number.magnitude >> (64 - format.mantissa_bits);
    const bool lost = number.exponent > format.mantissa_bits || payload == 0;
    if (lost) payload |= uint64_t{1} << (format.mantissa_bits - 1);
    return {sign | format.infinity() | payload, false, false};
  }
  if (number.kind == Number::kInfinite) {
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
  const uint64_t kept = shift <= 0 ? number.magnitude << -shift
                                   : RoundShift(number.magnitude, shift, inexact);
  // A carry out of the rounding moves into the exponent by itself.
  const uint64_t hidden = uint64_t{1} << format.mantissa_bits;
  const uint64_t body = last == unit
                            ? kept
                            : (static_cast<uint64_t>(last - unit) << format.mantissa_bits) + kept;
  const bool too_large = last - unit > static_cast<int>(format.exponent_mask()) ||
                         body > format.max_bits() || kept > 2 * hidden;
  if (too_large) return OverflowFloat(format, number.negative, overflow);
  if (body == 0 && fnuz) return {0, false, inexact};
  return {sign | body, false, inexact};
}

CastOne EncodeInteger(DType dtype, const Number& number) {
  const int width = DTypeBits(dtype);
  const bool is_signed = IsSignedInteger(dtype);
  const uint64_t max = is_signed ? (uint64_t{1} << (width - 1)) - 1
                                 : (width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1);
  const uint64_t limit = number.negative ? (is_signed ? max + 1 : 0) : max;
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  if (number.kind == Number::kNan) return {0, true, true};
  bool inexact = false;
  uint64_t magnitude = number.magnitude;
  bool overflowed = number.kind == Number::kInfinite;
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

// All results for a narrow source type.
struct Table {
  std::vector<uint64_t> bits;
  std::vector<uint8_t> flags;  // 1: changed, 2: overflowed
  bool exact = true;           // no element is changed
};

std::shared_ptr<const Table> TableFor(const CastOp& cast) {
  static std::mutex mutex;
  static std::map<std::tuple<DType, DType, Overflow>, std::shared_ptr<const Table>> tables;
  const std::lock_guard lock(mutex);
  auto& table = tables[{cast.from, cast.to, cast.overflow}];
  if (!table) {
    auto made = std::make_shared<Table>();
    const size_t count = size_t{1} << DTypeBits(cast.from);
    made->bits.resize(count);
    made->flags.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const CastOne one = CastElement(cast, i);
      made->bits[i] = one.bits;
      made->flags[i] = static_cast<uint8_t>((one.changed ? 1 : 0) | (one.overflowed ? 2 : 0));
      made->exact = made->exact && made->flags[i] == 0;
    }
    table = std::move(made);
  }
  return table;
}

uint64_t LoadBits(const std::byte* from, int64_t size) {
  uint64_t bits = 0;
  std::memcpy(&bits, from, static_cast<size_t>(size));
  return bits;
}

void Note(bool overflowed, bool changed, size_t index, CastCounts& counts, uint8_t* touched) {
  if (overflowed) {
    if (counts.first_overflow < 0) counts.first_overflow = static_cast<int64_t>(index);
    ++counts.overflowed;
  }
  if (changed) ++counts.changed;
  if (touched != nullptr && changed) touched[index] = 1;
}

void CastSlowly(const CastOp& cast, const std::byte* src, std::byte* dst, size_t count,
                CastCounts& counts, uint8_t* touched) {
  const int64_t from_size = DTypeSize(cast.from);
  const int64_t to_size = DTypeSize(cast.to);
  for (size_t i = 0; i < count; ++i) {
    const CastOne one = CastElement(cast, LoadBits(src + static_cast<int64_t>(i) * from_size, from_size));
    std::memcpy(dst + static_cast<int64_t>(i) * to_size, &one.bits, static_cast<size_t>(to_size));
    Note(one.overflowed, one.changed, i, counts, touched);
  }
}

template <typename From, typename To>
void CastByTable(const Table& table, const std::byte* src, std::byte* dst, size_t count,
                 CastCounts& counts, uint8_t* touched) {
  if (sizeof(From) == 1 && table.exact) {  // as to a wider dtype: no more than a look-up
    To values[256];
    for (size_t i = 0; i < 256; ++i) values[i] = static_cast<To>(table.bits[i]);
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(dst + i * sizeof(To), &values[std::to_integer<uint8_t>(src[i])], sizeof(To));
    }
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    From index;
    std::memcpy(&index, src + i * sizeof(From), sizeof(From));
    const auto value = static_cast<To>(table.bits[index]);
    std::memcpy(dst + i * sizeof(To), &value, sizeof(To));
    const uint8_t flags = table.flags[index];
    if (flags != 0) Note((flags & 2) != 0, (flags & 1) != 0, i, counts, touched);
  }
}

template <typename From>
void CastByTable(const Table& table, int64_t to_size, const std::byte* src, std::byte* dst,
                 size_t count, CastCounts& counts, uint8_t* touched) {
  switch (to_size) {
    case 1: return CastByTable<From, uint8_t>(table, src, dst, count, counts, touched);
    case 2: return CastByTable<From, uint16_t>(table, src, dst, count, counts, touched);
    case 4: return CastByTable<From, uint32_t>(table, src, dst, count, counts, touched);
    default: return CastByTable<From, uint64_t>(table, src, dst, count, counts, touched);
  }
}

}  // namespace

bool CanCast(const CastOp& cast) {
  const bool from = cast.from == DType::kBool || IsInteger(cast.from) || FormatOf(cast.from) ||
                    cast.from == DType::kF8E8M0;
  const auto to = FormatOf(cast.to);
  if (!from || !(to || IsInteger(cast.to))) return cast.from == cast.to;
  return cast.overflow != Overflow::kInf || (to && to->specials == Specials::kIeee);
}

CastOne CastElement(const CastOp& cast, uint64_t bits) {
  if (cast.from == cast.to) return {bits, false, false};
  Number number = Decode(cast.from, bits);
  const auto to = FormatOf(cast.to);
  if (!to) return EncodeInteger(cast.to, number);
  // For a NaN the exponent tells how many bits of payload there are.
  const auto from = FormatOf(cast.from);
  if (number.kind == Number::kNan) number.exponent = from ? from->mantissa_bits : 0;
  return EncodeFloat(*to, number, cast.overflow);
}

void CastElements(const CastOp& cast, const std::byte* src, std::byte* dst, size_t count,
                  CastCounts& counts, uint8_t* touched) {
  if (cast.from == cast.to) {
    std::memcpy(dst, src, count * static_cast<size_t>(DTypeSize(cast.from)));
    return;
  }
  if (const VectorCast kernel = touched == nullptr ? FindVectorCast(cast.from, cast.to) : nullptr) {
    constexpr size_t kBlock = 4096;
    const auto from_size = static_cast<size_t>(DTypeSize(cast.from));
    const auto to_size = static_cast<size_t>(DTypeSize(cast.to));
    for (size_t i = 0; i < count; i += kBlock) {
      const size_t n = std::min(kBlock, count - i);
      const VectorCounts block = kernel(src + i * from_size, dst + i * to_size, n);
      counts.changed += block.changed;
      if (block.overflowed == 0) continue;
      counts.changed -= block.changed;
      CastCounts exact;
      CastSlowly(cast, src + i * from_size, dst + i * to_size, n, exact, nullptr);
      if (counts.first_overflow < 0) counts.first_overflow = static_cast<int64_t>(i) + exact.first_overflow;
      counts.overflowed += exact.overflowed;
      counts.changed += exact.changed;
    }
    return;
  }
  const int bits = DTypeBits(cast.from);
  if (bits == 8 || (bits == 16 && count >= 4096)) {
    const std::shared_ptr<const Table> table = TableFor(cast);
    if (bits == 8) return CastByTable<uint8_t>(*table, DTypeSize(cast.to), src, dst, count, counts, touched);
    return CastByTable<uint16_t>(*table, DTypeSize(cast.to), src, dst, count, counts, touched);
  }
  CastSlowly(cast, src, dst, count, counts, touched);
}

std::string FormatElement(DType dtype, uint64_t bits) {
  const Number number = Decode(dtype, bits);
  const char* sign = number.negative ? "-" : "";
  if (number.kind == Number::kNan) return "nan";
  if (number.kind == Number::kInfinite) return fmt::format("{}inf", sign);
  if (number.exponent == 0) return fmt::format("{}{}", sign, number.magnitude);
  const double value = std::ldexp(static_cast<double>(number.magnitude), number.exponent);
  if (dtype == DType::kF64) return fmt::format("{}{}", sign, value);
  return fmt::format("{}{}", sign, static_cast<float>(value));
}

}  // namespace ckmap
