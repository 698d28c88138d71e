#include "runtime/exec/kernels/arithmetic.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include <doctest/doctest.h>

namespace ckmap {
namespace {

using Kind = ElementOp::Kind;

ElementOp Op(Kind kind, DType dtype, Number operand = int64_t{0}, Overflow overflow = Overflow::kError) {
  return {dtype, dtype, overflow, kind, operand};
}

float Single(uint64_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); }
uint64_t Bits(float value) { return std::bit_cast<uint32_t>(value); }

TEST_CASE("what a product and a sum are") {
  CHECK(Single(ComputeElement(Op(Kind::kScale, DType::kF32, 0.125), Bits(3.0F)).bits) == 0.375F);
  CHECK(Single(ComputeElement(Op(Kind::kAdd, DType::kF32, 1), Bits(-3.5F)).bits) == -2.5F);
  CHECK(Single(ComputeElement(Op(Kind::kNegate, DType::kF32), Bits(0.0F)).bits) == 0.0F);
  CHECK(std::signbit(Single(ComputeElement(Op(Kind::kNegate, DType::kF32), Bits(0.0F)).bits)));
  const ElementResult third = ComputeElement(Op(Kind::kScale, DType::kF32, 1.0 / 3), Bits(1.0F));
  CHECK(Single(third.bits) == static_cast<float>(1.0 / 3));
  CHECK(third.changed);
  CHECK_FALSE(third.overflowed);
}

TEST_CASE("a product with a power of two is exact, or refused") {
  const uint64_t least = 1;  // the smallest f32
  CHECK(ComputeElement(Op(Kind::kScale, DType::kF32, 0.5), least).overflowed);
  CHECK_FALSE(ComputeElement(Op(Kind::kScale, DType::kF32, 0.5, Overflow::kSaturate), least).overflowed);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kF32, 0.5, Overflow::kSaturate), least).changed);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kF64, 0.5), 1).overflowed);
  CHECK_FALSE(ComputeElement(Op(Kind::kScale, DType::kF64, 2), 1).changed);
  std::mt19937_64 random(7);
  for (const DType dtype :
       {DType::kF32, DType::kF16, DType::kBF16, DType::kF64, DType::kF8E5M2, DType::kI32, DType::kU8}) {
    const uint64_t mask = DTypeBits(dtype) == 64 ? ~uint64_t{0} : (uint64_t{1} << DTypeBits(dtype)) - 1;
    int undone = 0;
    for (int i = 0; i < 20000; ++i) {
      const uint64_t bits = random() & mask;
      const double factor = std::ldexp(1.0, static_cast<int>(random() % 9) - 4);
      const ElementResult there = ComputeElement(Op(Kind::kScale, dtype, factor), bits);
      if (there.overflowed) continue;
      const ElementResult back = ComputeElement(Op(Kind::kScale, dtype, 1 / factor), there.bits);
      REQUIRE(back.bits == bits);
      REQUIRE_FALSE(back.overflowed);
      ++undone;
    }
    CHECK(undone > 1000);
  }
}

TEST_CASE("overflow does what it is told") {
  const uint64_t big = 0x7bff;  // 65504, the greatest f16
  CHECK(ComputeElement(Op(Kind::kScale, DType::kF16, 3), big).overflowed);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kF16, 3, Overflow::kSaturate), big).bits == 0x7bff);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kF16, -3, Overflow::kInf), big).bits == 0xfc00);
  const uint64_t most = std::bit_cast<uint64_t>(1.5e308);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kF64, 2), most).overflowed);
  CHECK(std::bit_cast<double>(ComputeElement(Op(Kind::kAdd, DType::kF64, 1.5e308, Overflow::kInf), most).bits) ==
        INFINITY);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kF16, 2), 0x7c00).bits == 0x7c00);  // an infinity stays one
  CHECK_FALSE(ComputeElement(Op(Kind::kScale, DType::kF16, 2), 0x7c00).overflowed);
  CHECK(ComputeElement(Op(Kind::kAdd, DType::kF16, 2), 0x7e01).bits == 0x7e01);  // and a NaN
}

TEST_CASE("integers are exact or refused") {
  CHECK(ComputeElement(Op(Kind::kScale, DType::kI8, -2), 100).overflowed);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kI8, -2, Overflow::kSaturate), 100).bits == 0x80);
  CHECK(ComputeElement(Op(Kind::kNegate, DType::kI8), 0x80).overflowed);
  CHECK(ComputeElement(Op(Kind::kNegate, DType::kI64), 5).bits == static_cast<uint64_t>(-5));
  CHECK(ComputeElement(Op(Kind::kAdd, DType::kU64, 1), ~uint64_t{0}).overflowed);
  CHECK(ComputeElement(Op(Kind::kAdd, DType::kU8, -1), 0).overflowed);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kI16, 0.25), 12).bits == 3);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kI16, 0.25), 13).overflowed);
  constexpr int64_t kLong = 9007199254740993;  // 2^53 + 1, which no double is
  CHECK(ComputeElement(Op(Kind::kAdd, DType::kI64, kLong), 1).bits == kLong + 1);
  CHECK(ComputeElement(Op(Kind::kAdd, DType::kU64, INT64_MAX), uint64_t{1} << 63).bits == ~uint64_t{0});
  CHECK(ComputeElement(Op(Kind::kScale, DType::kI64, kLong), 3).bits == 3 * kLong);
  CHECK(ComputeElement(Op(Kind::kScale, DType::kI64, kLong), 1024).overflowed);
  CHECK_FALSE(CanCompute(Op(Kind::kAdd, DType::kF64, kLong)));  // it would be rounded
  CHECK_FALSE(CanCompute(Op(Kind::kScale, DType::kI16, 0.3)));
  CHECK_FALSE(CanCompute(Op(Kind::kAdd, DType::kI16, 0.5)));
  CHECK_FALSE(CanCompute(Op(Kind::kNegate, DType::kU8)));
  CHECK_FALSE(CanCompute(Op(Kind::kScale, DType::kI16, 2, Overflow::kInf)));
  CHECK_FALSE(CanCompute(Op(Kind::kScale, DType::kF32, 0)));
  CHECK_FALSE(CanCompute(Op(Kind::kNegate, DType::kF8E8M0)));
}

TEST_CASE("neg and byteswap undo themselves, for every element of narrow types") {
  for (const DType dtype :
       {DType::kF8E4M3, DType::kF8E5M2, DType::kF8E4M3Fnuz, DType::kF8E5M2Fnuz, DType::kF16, DType::kBF16}) {
    for (uint64_t bits = 0; bits < uint64_t{1} << DTypeBits(dtype); ++bits) {
      const uint64_t negative = ComputeElement(Op(Kind::kNegate, dtype), bits).bits;
      REQUIRE(ComputeElement(Op(Kind::kNegate, dtype), negative).bits == bits);
    }
  }
  CHECK(ComputeElement(Op(Kind::kNegate, DType::kF8E4M3Fnuz), 0).bits == 0);  // it has no negative zero
  CHECK(ComputeElement(Op(Kind::kByteswap, DType::kU32), 0x12345678).bits == 0x78563412);
}

// Blocks against the definition, element by element.
TEST_CASE("blocks are what their elements are") {
  std::mt19937_64 random(11);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kF64, DType::kF8E4M3, DType::kI8,
                            DType::kU16, DType::kI32, DType::kI64}) {
    const auto size = static_cast<size_t>(DTypeSize(dtype));
    for (const ElementOp& op : {Op(Kind::kScale, dtype, 2), Op(Kind::kScale, dtype, 3, Overflow::kSaturate),
                                Op(Kind::kScale, dtype, 0.5), Op(Kind::kScale, dtype, 1.1), Op(Kind::kAdd, dtype, 7),
                                Op(Kind::kAdd, dtype, 1e-3), Op(Kind::kByteswap, dtype), Op(Kind::kNegate, dtype)}) {
      if (!CanCompute(op)) continue;
      constexpr size_t kCount = 70001;
      std::vector<std::byte> in(kCount * size), out(kCount * size);
      for (std::byte& byte : in) byte = static_cast<std::byte>(random());
      CastCounts counts, expected;
      std::vector<uint8_t> touched(kCount);
      ComputeElements(op, in.data(), out.data(), kCount, counts, touched.data());
      for (size_t i = 0; i < kCount; ++i) {
        uint64_t bits = 0, found = 0;
        std::memcpy(&bits, in.data() + i * size, size);
        std::memcpy(&found, out.data() + i * size, size);
        const ElementResult one = ComputeElement(op, bits);
        REQUIRE(found == one.bits);
        REQUIRE((touched[i] != 0) == one.changed);
        expected.changed += one.changed ? 1 : 0;
        expected.overflowed += one.overflowed ? 1 : 0;
        if (one.overflowed && expected.first_overflow < 0) expected.first_overflow = static_cast<int64_t>(i);
      }
      CHECK(counts.changed == expected.changed);
      CHECK(counts.overflowed == expected.overflowed);
      CHECK(counts.first_overflow == expected.first_overflow);
    }
  }
}

}  // namespace
}  // namespace ckmap
