#include "runtime/exec/kernels/cast.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace ckmap {
namespace {

constexpr DType kSmallFloats[] = {DType::kF16,    DType::kBF16,       DType::kF8E4M3,
                                  DType::kF8E5M2, DType::kF8E4M3Fnuz, DType::kF8E5M2Fnuz};
constexpr DType kIntegers[] = {DType::kI8,  DType::kU8,  DType::kI16, DType::kU16,
                               DType::kI32, DType::kU32, DType::kI64, DType::kU64};
constexpr Overflow kPolicies[] = {Overflow::kError, Overflow::kSaturate, Overflow::kInf};

// The value of each bit pattern of a small float, worked out from the format's definition.
double ValueOf(DType dtype, uint32_t bits) {
  int exponent_bits = 5;
  int mantissa_bits = 10;
  int bias = 15;
  if (dtype == DType::kBF16) exponent_bits = 8, mantissa_bits = 7, bias = 127;
  if (dtype == DType::kF8E4M3) exponent_bits = 4, mantissa_bits = 3, bias = 7;
  if (dtype == DType::kF8E5M2) mantissa_bits = 2;
  if (dtype == DType::kF8E4M3Fnuz) exponent_bits = 4, mantissa_bits = 3, bias = 8;
  if (dtype == DType::kF8E5M2Fnuz) mantissa_bits = 2, bias = 16;
  const uint32_t sign = bits >> (exponent_bits + mantissa_bits);
  const uint32_t exponent = (bits >> mantissa_bits) & ((1U << exponent_bits) - 1);
  const uint32_t mantissa = bits & ((1U << mantissa_bits) - 1);
  const bool fnuz = dtype == DType::kF8E4M3Fnuz || dtype == DType::kF8E5M2Fnuz;
  const bool top = exponent == (1U << exponent_bits) - 1;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (fnuz && bits == 0x80) return nan;
  if (dtype == DType::kF8E4M3 && top && mantissa == 7) return nan;
  if (!fnuz && dtype != DType::kF8E4M3 && top) return mantissa != 0 ? nan : (sign ? -INFINITY : INFINITY);
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                    : std::ldexp(mantissa + (1U << mantissa_bits), static_cast<int>(exponent) - bias - mantissa_bits);
  return sign ? -magnitude : magnitude;
}

uint64_t Bits(double value) { return std::bit_cast<uint64_t>(value); }
double Double(uint64_t bits) { return std::bit_cast<double>(bits); }

// Nearest value with ties to even by search in the list of all values of a small float.
class Nearest {
 public:
  explicit Nearest(DType dtype) {
    const uint32_t count = 1U << (DTypeBits(dtype) - 1);
    for (uint32_t bits = 0; bits < count; ++bits) {
      const double value = ValueOf(dtype, bits);
      if (std::isfinite(value)) values_.push_back(value);
    }
    const size_t n = values_.size();
    // Where the next value would be.
    values_.push_back(values_[n - 1] + (values_[n - 1] - values_[n - 2]));
  }

  // Bits of |value| rounded; values_.size() - 1 means overflow.
  size_t Round(double magnitude) const {
    if (magnitude >= values_.back()) return values_.size() - 1;
    const auto above = std::upper_bound(values_.begin(), values_.end(), magnitude);
    const auto high = static_cast<size_t>(above - values_.begin());
    const size_t low = high - 1;
    const double to_low = magnitude - values_[low];
    const double to_high = values_[high] - magnitude;
    if (to_low != to_high) return to_low < to_high ? low : high;
    return low % 2 == 0 ? low : high;
  }
  size_t overflow() const { return values_.size() - 1; }

 private:
  std::vector<double> values_;
};

TEST_CASE("every small float means what its format says") {
  for (const DType dtype : kSmallFloats) {
    for (uint32_t bits = 0; bits < (1U << DTypeBits(dtype)); ++bits) {
      const ElementResult wide = CastElement({dtype, DType::kF64, Overflow::kError}, bits);
      const double expected = ValueOf(dtype, bits);
      const double got = Double(wide.bits);
      REQUIRE(((std::isnan(expected) && std::isnan(got)) || got == expected));
      REQUIRE(std::signbit(got) == (std::isnan(expected) ? std::signbit(got) : std::signbit(expected)));
      REQUIRE_FALSE(wide.changed);
      REQUIRE_FALSE(wide.overflowed);
    }
  }
}

void CheckNarrowing(DType to, const Nearest& nearest, double value) {
  const ElementResult one = CastElement({DType::kF64, to, Overflow::kSaturate}, Bits(value));
  const size_t index = nearest.Round(std::fabs(value));
  const bool over = index == nearest.overflow();
  REQUIRE(one.overflowed == over);
  const uint64_t magnitude = over ? index - 1 : index;
  const uint64_t sign_bit = uint64_t{1} << (DTypeBits(to) - 1);
  const bool fnuz = to == DType::kF8E4M3Fnuz || to == DType::kF8E5M2Fnuz;
  const uint64_t sign = std::signbit(value) && !(fnuz && magnitude == 0) ? sign_bit : 0;
  REQUIRE(one.bits == (magnitude | sign));
  REQUIRE(one.changed == (ValueOf(to, static_cast<uint32_t>(one.bits)) != value));
}

TEST_CASE("f64 to small floats rounds to the nearest of all values") {
  std::mt19937_64 random(3);
  for (const DType to : kSmallFloats) {
    const Nearest nearest(to);
    for (uint32_t bits = 0; bits < (1U << DTypeBits(to)); ++bits) {
      const double value = ValueOf(to, bits);
      if (!std::isfinite(value)) continue;
      const double next = ValueOf(to, bits + 1);
      CheckNarrowing(to, nearest, value);
      if (!std::isfinite(next) || (bits + 1) >> (DTypeBits(to) - 1) != bits >> (DTypeBits(to) - 1)) continue;
      const double middle = (value + next) / 2;
      CheckNarrowing(to, nearest, middle);
      CheckNarrowing(to, nearest, std::nextafter(middle, 0));
      CheckNarrowing(to, nearest, std::nextafter(middle, INFINITY));
    }
    for (int i = 0; i < 20000; ++i) {
      const double value = Double(random());
      if (std::isfinite(value)) CheckNarrowing(to, nearest, value);
      CheckNarrowing(
          to, nearest,
          std::ldexp(1.0 + static_cast<double>(random() % 100000) / 100000, static_cast<int>(random() % 60) - 40));
    }
  }
}

TEST_CASE("infinities and NaN") {
  for (const DType to : {DType::kF16, DType::kBF16, DType::kF8E5M2, DType::kF32}) {
    const ElementResult inf = CastElement({DType::kF64, to, Overflow::kError}, Bits(-INFINITY));
    CHECK_FALSE(inf.overflowed);
    CHECK_FALSE(inf.changed);
    const ElementResult back = CastElement({to, DType::kF64, Overflow::kError}, inf.bits);
    CHECK(Double(back.bits) == -INFINITY);
    const ElementResult large = CastElement({DType::kF64, to, Overflow::kInf}, Bits(1e300));
    CHECK(large.overflowed);
    CHECK(Double(CastElement({to, DType::kF64, Overflow::kError}, large.bits).bits) == INFINITY);
  }
  CHECK(CastElement({DType::kF32, DType::kF8E4M3, Overflow::kSaturate}, std::bit_cast<uint32_t>(-INFINITY)).bits ==
        0xfe);
  CHECK_FALSE(CanCast({DType::kF32, DType::kF8E4M3, Overflow::kInf}));
  for (const DType to : kSmallFloats) {
    for (const uint32_t nan : {0x7f800001U, 0xffc00000U, 0x7fffffffU}) {
      const ElementResult one = CastElement({DType::kF32, to, Overflow::kError}, nan);
      CHECK(std::isnan(ValueOf(to, static_cast<uint32_t>(one.bits))));
      CHECK_FALSE(one.changed);
    }
  }
  const ElementResult to_int = CastElement({DType::kF32, DType::kI32, Overflow::kSaturate}, 0x7fc00000U);
  CHECK(to_int.bits == 0);
  CHECK(to_int.overflowed);
}

TEST_CASE("f32 and f64 as the processor converts them") {
  std::mt19937_64 random(5);
  for (int i = 0; i < 200000; ++i) {
    double value = Double(random());
    if (i % 2 == 0) value = std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 300) - 200);
    if (!std::isfinite(value)) continue;
    const ElementResult one = CastElement({DType::kF64, DType::kF32, Overflow::kInf}, Bits(value));
    REQUIRE(one.bits == std::bit_cast<uint32_t>(static_cast<float>(value)));
    REQUIRE(one.changed == (static_cast<double>(static_cast<float>(value)) != value));
  }
}

TEST_CASE("integers") {
  std::mt19937_64 random(9);
  for (int i = 0; i < 100000; ++i) {
    const uint64_t bits = random() >> (random() % 64);
    const auto value = static_cast<int64_t>(bits);
    CHECK(CastElement({DType::kI64, DType::kF32, Overflow::kError}, bits).bits ==
          std::bit_cast<uint32_t>(static_cast<float>(value)));
    CHECK(CastElement({DType::kU64, DType::kF64, Overflow::kError}, bits).bits == Bits(static_cast<double>(bits)));
    const ElementResult narrow = CastElement({DType::kI64, DType::kI16, Overflow::kSaturate}, bits);
    const int64_t clamped = std::clamp<int64_t>(value, -32768, 32767);
    CHECK(static_cast<int16_t>(narrow.bits) == clamped);
    CHECK(narrow.overflowed == (clamped != value));
  }
  // One rounding only: through f64 the last bit would be lost and the tie go the other way.
  CHECK(CastElement({DType::kI64, DType::kBF16, Overflow::kError}, (1ULL << 62) + (1ULL << 54) + 1).bits ==
        CastElement({DType::kF64, DType::kBF16, Overflow::kError}, Bits(0x1.02p62)).bits);
  CHECK(CastElement({DType::kU64, DType::kF16, Overflow::kError}, 65519).bits == 0x7bff);
  CHECK(CastElement({DType::kU64, DType::kF16, Overflow::kError}, 65520).overflowed);
  CHECK(CastElement({DType::kI8, DType::kU32, Overflow::kSaturate}, 0x80).bits == 0);
  CHECK(CastElement({DType::kBool, DType::kI64, Overflow::kError}, 1).bits == 1);
  CHECK(CastElement({DType::kF32, DType::kI8, Overflow::kError}, std::bit_cast<uint32_t>(2.5F)).bits == 2);
  CHECK(CastElement({DType::kF32, DType::kI8, Overflow::kError}, std::bit_cast<uint32_t>(-127.75F)).bits == 0x80);
  CHECK(CastElement({DType::kF32, DType::kU8, Overflow::kError}, std::bit_cast<uint32_t>(-0.4F)).bits == 0);
  CHECK(CastElement({DType::kF64, DType::kU64, Overflow::kError}, Bits(0x1p64)).overflowed);
}

// Both ways of CastElements against the definition, in one block.
void CheckBlock(const CastOp& cast, const std::vector<uint64_t>& inputs) {
  const auto from = static_cast<size_t>(DTypeSize(cast.from));
  const auto to = static_cast<size_t>(DTypeSize(cast.to));
  std::vector<std::byte> src(inputs.size() * from);
  for (size_t i = 0; i < inputs.size(); ++i) std::memcpy(src.data() + i * from, &inputs[i], from);
  for (const bool masked : {false, true}) {
    std::vector<std::byte> dst(inputs.size() * to);
    std::vector<uint8_t> touched(inputs.size());
    CastCounts counts;
    CastElements(cast, src.data(), dst.data(), inputs.size(), counts, masked ? touched.data() : nullptr);
    CastCounts expected;
    bool equal = true;
    bool marks = true;
    for (size_t i = 0; i < inputs.size(); ++i) {
      uint64_t in = 0;
      std::memcpy(&in, src.data() + i * from, from);
      const ElementResult one = CastElement(cast, in);
      uint64_t got = 0;
      std::memcpy(&got, dst.data() + i * to, to);
      equal = equal && got == one.bits;
      if (one.overflowed && expected.first_overflow < 0) expected.first_overflow = static_cast<int64_t>(i);
      expected.overflowed += one.overflowed;
      expected.changed += one.changed;
      marks = marks && (!masked || touched[i] == one.changed);
    }
    CAPTURE(DTypeName(cast.from));
    CAPTURE(DTypeName(cast.to));
    REQUIRE(equal);
    REQUIRE(marks);
    REQUIRE(counts.overflowed == expected.overflowed);
    REQUIRE(counts.changed == expected.changed);
    REQUIRE(counts.first_overflow == expected.first_overflow);
  }
}

TEST_CASE("all inputs of 8 and 16 bits, to every type, under every policy") {
  std::vector<DType> targets(std::begin(kSmallFloats), std::end(kSmallFloats));
  targets.insert(targets.end(), std::begin(kIntegers), std::end(kIntegers));
  targets.insert(targets.end(), {DType::kF32, DType::kF64});
  for (const DType from : {DType::kBool, DType::kI8, DType::kU8, DType::kF8E4M3, DType::kF8E5M2, DType::kF8E4M3Fnuz,
                           DType::kF8E5M2Fnuz, DType::kF8E8M0, DType::kF16, DType::kBF16, DType::kI16, DType::kU16}) {
    std::vector<uint64_t> inputs(size_t{1} << DTypeBits(from));
    for (size_t i = 0; i < inputs.size(); ++i) inputs[i] = i;
    for (const DType to : targets) {
      for (const Overflow policy : kPolicies) {
        if (CanCast({from, to, policy}) && from != to) CheckBlock({from, to, policy}, inputs);
      }
    }
  }
}

TEST_CASE("wide inputs through the fast kernels") {
  std::mt19937_64 random(21);
  const DType wide[] = {DType::kF32, DType::kF64, DType::kI32, DType::kU32, DType::kI64, DType::kU64};
  const DType targets[] = {DType::kF16,    DType::kBF16, DType::kF32, DType::kF64, DType::kF8E4M3,
                           DType::kF8E5M2, DType::kI8,   DType::kU8,  DType::kU64};
  for (const DType from : wide) {
    std::vector<uint64_t> inputs;
    for (int i = 0; i < 9001; ++i) inputs.push_back(random());
    if (from == DType::kF32 || from == DType::kF64) {
      for (int i = 0; i < 30000; ++i) {
        const double value =
            std::ldexp(static_cast<double>(random() % (1 << 25)) - (1 << 24), static_cast<int>(random() % 70) - 55);
        inputs.push_back(from == DType::kF64 ? Bits(value) : std::bit_cast<uint32_t>(static_cast<float>(value)));
      }
    }
    for (const DType to : targets) {
      for (const Overflow policy : kPolicies) {
        if (CanCast({from, to, policy}) && from != to) CheckBlock({from, to, policy}, inputs);
      }
    }
  }
}

TEST_CASE("f32 to 8 bits: every pattern of the bits that decide, and what is next to a tie") {
  constexpr uint64_t kLow[] = {0, 1, 0x800, 0xfff};
  for (const DType to : {DType::kF8E4M3, DType::kF8E5M2}) {
    for (uint64_t high = 0; high < (1U << 20); high += 1U << 14) {
      std::vector<uint64_t> inputs;
      for (uint64_t i = high; i < high + (1U << 14); ++i) {
        for (const uint64_t low : kLow) inputs.push_back(i << 12 | low);
      }
      CheckBlock({DType::kF32, to, Overflow::kSaturate}, inputs);
    }
  }
}

TEST_CASE("f64 to 8 bits, where nothing overflows: by the fast kernels to their end") {
  std::mt19937_64 random(22);
  const double tiny = std::ldexp(1.0, -1074);
  for (const DType to : {DType::kI8, DType::kU8, DType::kF8E4M3, DType::kF8E5M2}) {
    std::vector<uint64_t> inputs;
    const int low = to == DType::kU8 ? 0 : -128;
    const int high = to == DType::kU8 ? 255 : 127;
    for (int i = 2 * low; i <= 2 * high; ++i) {  // every whole and half, and what is next to them
      const double value = i / 2.0;
      inputs.push_back(Bits(value));
      if (i > 2 * low) inputs.push_back(Bits(std::nextafter(value, -INFINITY)));
      if (i < 2 * high) inputs.push_back(Bits(std::nextafter(value, INFINITY)));
    }
    for (const double value : {-0.0, tiny, -tiny, low - 0.5, -0.5, -0.4999999}) inputs.push_back(Bits(value));
    for (int i = 0; i < 20000; ++i) {
      const double value = std::ldexp(static_cast<double>(random() % (1 << 25)), static_cast<int>(random() % 24) - 42);
      inputs.push_back(Bits(to == DType::kU8 || random() % 2 == 0 ? value : -value));
    }
    CheckBlock({DType::kF64, to, Overflow::kError}, inputs);
    inputs.push_back(Bits(high + 0.5));
    inputs.push_back(Bits(low - 0.75));
    inputs.push_back(Bits(NAN));
    CheckBlock({DType::kF64, to, Overflow::kSaturate}, inputs);
  }
}

// Half an hour of one core: CKMAP_EXHAUSTIVE=1 test-bin/cast_test -tc="all 2^32*"
TEST_CASE("all 2^32 inputs of f32" * doctest::skip(std::getenv("CKMAP_EXHAUSTIVE") == nullptr)) {
  for (const DType to : {DType::kF16, DType::kBF16}) {
    for (uint64_t high = 0; high < (1U << 16); ++high) {
      std::vector<uint64_t> inputs(1U << 16);
      for (uint64_t low = 0; low < inputs.size(); ++low) inputs[low] = high << 16 | low;
      CheckBlock({DType::kF32, to, Overflow::kInf}, inputs);
    }
  }
}

TEST_CASE("numbers in messages") {
  CHECK(FormatElement(DType::kF32, std::bit_cast<uint32_t>(-70000.5F)) == "-70000.5");
  CHECK(FormatElement(DType::kI8, 0x80) == "-128");
  CHECK(FormatElement(DType::kF16, 0x7c00) == "inf");
  CHECK(FormatElement(DType::kF64, Bits(1e300)) == "1e+300");
}

}  // namespace
}  // namespace ckmap
