// Compiled once for each instruction set that Highway's foreach_target includes this file for. f32 and f16 go through
// Highway's vectors, with the processor's own conversion where it has one (F16C); the rest are plain loops without
// branches over integer bits, which the compiler turns into vector code. tests/bench/kernel_bench compares all of them
// with memcpy: one that falls back to scalar code is seen there.
#include "runtime/exec/kernels/cast_kernels.h"

#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/exec/kernels/cast_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ckmap {
namespace HWY_NAMESPACE {

template <typename T>
HWY_INLINE T Load(const std::byte* from, size_t index) {
  T value;
  std::memcpy(&value, from + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
HWY_INLINE void Store(std::byte* to, size_t index, T value) {
  std::memcpy(to + index * sizeof(T), &value, sizeof(T));
}

namespace hn = hwy::HWY_NAMESPACE;

#undef CKMAP_HAS_F16C
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2 && !defined(HWY_DISABLE_F16C)
#define CKMAP_HAS_F16C 1
#else
#define CKMAP_HAS_F16C 0
#endif

using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using Halves = hn::Rebind<uint16_t, Floats>;

// Calls body(in, out) for whole vectors of `count` elements; the last ones go through a vector filled up with zeros,
// which no cast changes.
template <typename In, typename Out, typename Body>
HWY_INLINE void ForEachVector(const std::byte* src, std::byte* dst, size_t count, const Body& body) {
  const size_t lanes = hn::Lanes(Floats());
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    body(reinterpret_cast<const In*>(src + i * sizeof(In)), reinterpret_cast<Out*>(dst + i * sizeof(Out)));
  }
  if (i == count) return;
  HWY_ALIGN In in[hn::MaxLanes(Floats())] = {};
  HWY_ALIGN Out out[hn::MaxLanes(Floats())];
  std::memcpy(in, src + i * sizeof(In), (count - i) * sizeof(In));
  body(in, out);
  std::memcpy(dst + i * sizeof(Out), out, (count - i) * sizeof(Out));
}

// f16 in the low halves of `half` to f32, exactly; a NaN keeps its bits (the processor's conversion would make it
// quiet).
template <typename V>
HWY_INLINE hn::Vec<Floats> HalfToFloat(V half) {
  const Words words;
  const Floats floats;
  const auto body = hn::ShiftLeft<13>(hn::And(half, hn::Set(words, 0x7fffU)));
  const auto exponent = hn::And(body, hn::Set(words, 0x0f800000U));
  const auto normal = hn::Add(body, hn::Set(words, 112U << 23));
  const auto special = hn::Add(normal, hn::Set(words, 112U << 23));
  // A subnormal: the hidden bit is put in and taken out again by a subtraction.
  const auto small = hn::Sub(hn::BitCast(floats, hn::Add(normal, hn::Set(words, 1U << 23))), hn::Set(floats, 0x1p-14F));
  auto out = hn::IfThenElse(hn::Eq(exponent, hn::Set(words, 0x0f800000U)), special, normal);
  out = hn::IfThenElse(hn::Eq(exponent, hn::Zero(words)), hn::BitCast(words, small), out);
  return hn::BitCast(floats, hn::Or(out, hn::ShiftLeft<16>(hn::And(half, hn::Set(words, 0x8000U)))));
}

// f32 to f16, to nearest, ties to even. `back` gets the result as f32 again, but for NaNs.
HWY_INLINE hn::Vec<Words> FloatToHalf(hn::Vec<Floats> value, hn::Vec<Floats>& back) {
  const Words words;
  const Floats floats;
#if CKMAP_HAS_F16C
  const hn::Rebind<hwy::float16_t, Floats> halves;
  const auto half = hn::DemoteTo(halves, value);
  back = hn::PromoteTo(floats, half);
  return hn::PromoteTo(words, hn::BitCast(Halves(), half));
#else
  const auto bits = hn::BitCast(words, value);
  const auto body = hn::And(bits, hn::Set(words, 0x7fffffffU));
  const auto infinity = hn::Set(words, 0x7f800000U);
  // Normal: add just below half of the last kept bit, and that bit itself (ties to even).
  const auto odd = hn::And(hn::ShiftRight<13>(body), hn::Set(words, 1U));
  auto normal = hn::ShiftRight<13>(hn::Add(hn::Add(body, hn::Set(words, 0xc8000fffU)), odd));
  normal = hn::IfThenElse(hn::Gt(normal, hn::Set(words, 0x7c00U)), hn::Set(words, 0x7c00U), normal);
  // Subnormal: adding 0.5 shifts the value to where the last bit of a float is worth 2^-24.
  const auto small = hn::Sub(hn::BitCast(words, hn::Add(hn::BitCast(floats, body), hn::Set(floats, 0.5F))),
                             hn::Set(words, 0x3f000000U));
  const auto is_small = hn::Lt(body, hn::Set(words, 0x38800000U));
  const auto quiet = hn::Or(hn::Set(words, 0x7e00U), hn::And(hn::ShiftRight<13>(body), hn::Set(words, 0x3ffU)));
  const auto number = hn::IfThenElse(is_small, small, normal);
  const auto half = hn::IfThenElse(hn::Gt(body, infinity), quiet, number);
  const auto out = hn::Or(half, hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 0x8000U)));
  back = HalfToFloat(out);
  return out;
#endif
}

// kKeepNan: a NaN whose payload fits (bf16's) keeps it as it is; else it becomes quiet.
template <bool kKeepNan>
HWY_INLINE VectorCounts SinglesToHalves(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  const Words words;
  const Floats floats;
  const auto infinity = hn::Set(words, 0x7f800000U);
  const auto magnitude = hn::Set(words, 0x7fffffffU);
  auto overflowed = hn::Zero(words);
  auto changed = hn::Zero(words);
  ForEachVector<float, uint16_t>(src, dst, count, [&](const float* in, uint16_t* out) HWY_ATTR {
    const auto value = hn::LoadU(floats, in);
    auto back = hn::Zero(floats);
    auto half = FloatToHalf(value, back);
    const auto bits = hn::BitCast(words, value);
    const auto body = hn::And(bits, magnitude);
    const auto back_body = hn::And(hn::BitCast(words, back), magnitude);
    // Masks are -1: a sum of them counts backwards.
    const auto over =
        hn::And(hn::VecFromMask(words, hn::Lt(body, infinity)), hn::VecFromMask(words, hn::Eq(back_body, infinity)));
    const auto number = hn::VecFromMask(words, hn::Lt(body, hn::Set(words, 0x7f800001U)));
    const auto same = hn::VecFromMask(words, hn::Eq(body, back_body));
    overflowed = hn::Sub(overflowed, over);
    changed = hn::Sub(changed, hn::AndNot(same, number));
    if (kKeepNan) {
      const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 0x8000U));
      const auto kept =
          hn::Or(hn::Or(sign, hn::Set(words, 0x7c00U)), hn::And(hn::ShiftRight<13>(bits), hn::Set(words, 0x3ffU)));
      half = hn::IfThenElse(hn::Gt(body, infinity), kept, half);
    }
    hn::StoreU(hn::DemoteTo(Halves(), hn::BitCast(hn::RebindToSigned<Floats>(), half)), Halves(), out);
  });
  return {hn::GetLane(hn::SumOfLanes(words, overflowed)), hn::GetLane(hn::SumOfLanes(words, changed))};
}

VectorCounts F32ToF16(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return SinglesToHalves<false>(src, dst, count);
}

VectorCounts F16ToF32(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  const Words words;
  const Floats floats;
  ForEachVector<uint16_t, float>(src, dst, count, [&](const uint16_t* in, float* out) HWY_ATTR {
    hn::StoreU(HalfToFloat(hn::PromoteTo(words, hn::LoadU(Halves(), in))), floats, out);
  });
  return {};
}

VectorCounts F32ToBF16(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  uint32_t overflowed = 0;
  uint32_t changed = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto bits = Load<uint32_t>(src, i);
    const uint32_t body = bits & 0x7fffffffU;
    const uint32_t nan = body > 0x7f800000U ? 1U : 0U;
    const uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    const uint32_t out = nan != 0 ? (bits >> 16) | 0x40U : rounded;
    const uint32_t over = (body < 0x7f800000U ? 1U : 0U) & ((out & 0x7fffU) == 0x7f80U ? 1U : 0U);
    overflowed += over;
    changed += ((bits & 0xffffU) != 0 ? 1U : 0U) & (nan ^ 1U);
    Store(dst, i, static_cast<uint16_t>(out));
  }
  return {overflowed, changed};
}

template <typename Bits>
HWY_INLINE Bits SelectBits(Bits condition, Bits a, Bits b) {
  const Bits mask = Bits{0} - condition;
  return (a & mask) | (b & ~mask);
}

// To 8 bits: `kMantissa` of them behind an exponent of bias `kBias`; bodies above `kMax` are infinity (where there is
// one) or NaN. What overflows is counted and left to others.
template <int kMantissa, uint32_t kBias, uint32_t kMax, bool kInfinity>
HWY_INLINE VectorCounts SinglesToF8(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  constexpr int kShift = 23 - kMantissa;
  // A float whose last bit is worth the smallest subnormal, and that subnormal.
  constexpr uint32_t kMagic = (127 + 1 - kBias + kShift) << 23;
  constexpr float kUnit = std::bit_cast<float>((127 + 1 - kBias - kMantissa) << 23);
  const Words words;
  const Floats floats;
  const hn::RebindToSigned<Floats> integers;
  const hn::Rebind<uint8_t, Floats> bytes;
  const auto infinity = hn::Set(words, 0x7f800000U);
  auto overflowed = hn::Zero(words);
  auto changed = hn::Zero(words);
  ForEachVector<float, uint8_t>(src, dst, count, [&](const float* in, uint8_t* out) HWY_ATTR {
    const auto bits = hn::BitCast(words, hn::LoadU(floats, in));
    const auto body = hn::And(bits, hn::Set(words, 0x7fffffffU));
    const auto nan = hn::VecFromMask(words, hn::Gt(body, infinity));
    const auto odd = hn::And(hn::ShiftRight<kShift>(body), hn::Set(words, 1U));
    const auto rebiased = hn::Add(body, hn::Set(words, (1U << (kShift - 1)) - 1 - ((127 - kBias) << 23)));
    const auto normal = hn::ShiftRight<kShift>(hn::Add(rebiased, odd));
    const auto sum = hn::Add(hn::BitCast(floats, body), hn::Set(floats, std::bit_cast<float>(kMagic)));
    const auto small = hn::Sub(hn::BitCast(words, sum), hn::Set(words, kMagic));
    const auto is_small = hn::Lt(body, hn::Set(words, (127 + 1 - kBias) << 23));
    auto value = hn::IfThenElse(is_small, small, normal);
    auto over = hn::AndNot(nan, hn::VecFromMask(words, hn::Gt(value, hn::Set(words, kMax))));
    auto quiet = hn::Set(words, 0x7fU);
    if (kInfinity) {
      const auto infinite = hn::Eq(body, infinity);
      over = hn::AndNot(hn::VecFromMask(words, infinite), over);
      value = hn::IfThenElse(infinite, hn::Set(words, kMax + 1), value);
      const auto payload = hn::And(hn::ShiftRight<kShift>(body), hn::Set(words, (1U << kMantissa) - 1));
      quiet = hn::Or(hn::Set(words, (kMax + 1) | (1U << (kMantissa - 1))), payload);
    }
    const auto sign = hn::And(hn::ShiftRight<24>(bits), hn::Set(words, 0x80U));
    const auto result = hn::Or(hn::IfThenElse(hn::MaskFromVec(nan), quiet, value), sign);
    const auto back = hn::Mul(hn::ConvertTo(floats, hn::BitCast(integers, small)), hn::Set(floats, kUnit));
    const auto lost_small = hn::VecFromMask(words, hn::Ne(hn::BitCast(words, back), body));
    const auto lost_normal =
        hn::VecFromMask(words, hn::Ne(hn::And(body, hn::Set(words, (1U << kShift) - 1)), hn::Zero(words)));
    const auto lost = hn::AndNot(nan, hn::IfThenElse(is_small, lost_small, lost_normal));
    overflowed = hn::Sub(overflowed, over);
    changed = hn::Sub(changed, hn::Or(lost, over));
    hn::StoreU(hn::DemoteTo(bytes, hn::BitCast(integers, hn::And(result, hn::Set(words, 0xffU)))), bytes, out);
  });
  return {hn::GetLane(hn::SumOfLanes(words, overflowed)), hn::GetLane(hn::SumOfLanes(words, changed))};
}

VectorCounts F32ToF8E4M3(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return SinglesToF8<3, 7, 0x7e, false>(src, dst, count);
}

VectorCounts F32ToF8E5M2(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return SinglesToF8<2, 15, 0x7b, true>(src, dst, count);
}

// Exponent and mantissa move to where f32 has them, and the exponent grows by the difference of the biases. Subnormal
// values are multiples of the least one. `kTop`: the least magnitude that is infinite or a NaN.
template <int kMantissa, int kBias, uint32_t kTop>
HWY_INLINE VectorCounts F8ToSingles(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  constexpr int kShift = 23 - kMantissa;
  constexpr auto kLeast = std::bit_cast<float>(static_cast<uint32_t>(127 + 1 - kBias - kMantissa) << 23);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t byte = Load<uint8_t>(src, i);
    const uint32_t magnitude = byte & 0x7f;
    const auto multiple = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * kLeast);
    const uint32_t normal = (magnitude << kShift) + (static_cast<uint32_t>(127 - kBias) << 23);
    const uint32_t beyond = 0x7f800000U | (magnitude << kShift & 0x7fffffU);
    // Masks: a compiler makes branches of choices, and no vector code then.
    const uint32_t small = 0U - uint32_t{magnitude < 1U << kMantissa};
    const uint32_t top = 0U - uint32_t{magnitude >= kTop};
    const uint32_t finite = (multiple & small) | (normal & ~small);
    Store(dst, i, (beyond & top) | (finite & ~top) | (byte & 0x80) << 24);
  }
  return {};
}

VectorCounts F8E4M3ToF32(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return F8ToSingles<3, 7, 0x7f>(src, dst, count);
}

VectorCounts F8E5M2ToF32(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return F8ToSingles<2, 15, 0x7c>(src, dst, count);
}

// To integers of 8 bits; NaN overflows.
template <typename T, int kMin, int kMax>
HWY_INLINE VectorCounts F64ToInteger(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  constexpr double kMagic =
      0x1.8p52;  // beside it a double's last bit is worth 1: a sum is rounded to nearest, ties to even
  uint64_t overflowed = 0;
  uint64_t changed = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto value = Load<double>(src, i);
    const double shifted = value + kMagic;
    const double rounded = shifted - kMagic;
    // Outside of these, `rounded` may be anything.
    const uint64_t inside = uint64_t{value > kMin - 1.0} & uint64_t{value < kMax + 1.0} & uint64_t{rounded >= kMin} &
                            uint64_t{rounded <= kMax};
    overflowed += inside ^ 1;
    changed += uint64_t{rounded != value} | (inside ^ 1);
    Store(dst, i, static_cast<T>(std::bit_cast<uint64_t>(shifted)));
  }
  return {static_cast<uint32_t>(overflowed), static_cast<uint32_t>(changed)};
}

VectorCounts F64ToI8(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return F64ToInteger<int8_t, -128, 127>(src, dst, count);
}

VectorCounts F64ToU8(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return F64ToInteger<uint8_t, 0, 255>(src, dst, count);
}

// NaNs keep their bits, which the processor's own conversion changes.
VectorCounts F32ToF64(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const auto bits = Load<uint32_t>(src, i);
    const uint64_t nan = (bits & 0x7fffffffU) > 0x7f800000U ? 1 : 0;
    const uint64_t kept =
        uint64_t{bits & 0x80000000U} << 32 | uint64_t{0x7ff} << 52 | uint64_t{bits & 0x007fffffU} << 29;
    const auto value = std::bit_cast<uint64_t>(static_cast<double>(std::bit_cast<float>(bits)));
    Store(dst, i, SelectBits<uint64_t>(nan, kept, value));
  }
  return {};
}

VectorCounts BF16ToF32(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Store(dst, i, static_cast<uint32_t>(Load<uint16_t>(src, i)) << 16);
  }
  return {};
}

VectorCounts F64ToF32(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  uint32_t overflowed = 0;
  uint32_t changed = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto value = Load<double>(src, i);
    const auto out = static_cast<float>(value);
    const uint64_t body = std::bit_cast<uint64_t>(value) & 0x7fffffffffffffffU;
    const uint32_t out_body = std::bit_cast<uint32_t>(out) & 0x7fffffffU;
    overflowed += (body < 0x7ff0000000000000U ? 1U : 0U) & (out_body == 0x7f800000U ? 1U : 0U);
    changed += (static_cast<double>(out) != value ? 1U : 0U) & (body <= 0x7ff0000000000000U ? 1U : 0U);
    Store(dst, i, out);
  }
  return {overflowed, changed};
}

// f64 to f32, to odd: what is not exact gets an odd last bit, so that rounding the result to fewer bits gives what
// rounding the f64 in one step gives (Boldo and Melquiond, "When double rounding is odd").
VectorCounts F64ToOddF32(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const auto value = Load<double>(src, i);
    const auto near = static_cast<float>(value);
    const auto back = std::bit_cast<uint64_t>(static_cast<double>(near));
    const auto bits = std::bit_cast<uint64_t>(value);
    constexpr uint64_t kAbs = ~uint64_t{0} >> 1;
    const uint32_t number = (bits & kAbs) <= 0x7ff0000000000000U ? 1U : 0U;
    const uint32_t above = ((back & kAbs) > (bits & kAbs) ? 1U : 0U) & number;
    const uint32_t inexact = (back != bits ? 1U : 0U) & number;
    Store(dst, i, (std::bit_cast<uint32_t>(near) - above) | inexact);
  }
  return {};
}

VectorCounts F32WithNansToF16(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return SinglesToHalves<true>(src, dst, count);
}

// One kernel after the other, through a block that stays in the first cache. The first one must lose nothing that the
// second one keeps; what is counted is what the second one counts.
template <typename Middle, auto kFirst, auto kSecond>
VectorCounts Through(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count, size_t from,
                     size_t to) {
  constexpr size_t kBlock = 1024;
  HWY_ALIGN std::byte middle[kBlock * sizeof(Middle)];
  VectorCounts counts;
  for (size_t i = 0; i < count; i += kBlock) {
    const size_t n = count - i < kBlock ? count - i : kBlock;
    kFirst(src + i * from, middle, n);
    const VectorCounts block = kSecond(middle, dst + i * to, n);
    counts.overflowed += block.overflowed;
    counts.changed += block.changed;
  }
  return counts;
}

#define CKMAP_THROUGH(NAME, MIDDLE, FIRST, SECOND, FROM, TO)                                        \
  VectorCounts NAME(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) { \
    return Through<MIDDLE, FIRST, SECOND>(src, dst, count, FROM, TO);                               \
  }
CKMAP_THROUGH(F32ToI8, double, F32ToF64, F64ToI8, 4, 1)
CKMAP_THROUGH(F32ToU8, double, F32ToF64, F64ToU8, 4, 1)
CKMAP_THROUGH(F64ToF16, float, F64ToOddF32, F32ToF16, 8, 2)
CKMAP_THROUGH(F64ToF8E4M3, float, F64ToOddF32, F32ToF8E4M3, 8, 1)
CKMAP_THROUGH(F64ToF8E5M2, float, F64ToOddF32, F32ToF8E5M2, 8, 1)
CKMAP_THROUGH(F64ToBF16, float, F64ToOddF32, F32ToBF16, 8, 2)
CKMAP_THROUGH(F16ToBF16, float, F16ToF32, F32ToBF16, 2, 2)
CKMAP_THROUGH(F16ToF8E4M3, float, F16ToF32, F32ToF8E4M3, 2, 1)
CKMAP_THROUGH(F16ToF8E5M2, float, F16ToF32, F32ToF8E5M2, 2, 1)
CKMAP_THROUGH(F16ToF64, float, F16ToF32, F32ToF64, 2, 8)
CKMAP_THROUGH(F16ToI8, float, F16ToF32, F32ToI8, 2, 1)
CKMAP_THROUGH(F16ToU8, float, F16ToF32, F32ToU8, 2, 1)
CKMAP_THROUGH(BF16ToF16, float, BF16ToF32, F32WithNansToF16, 2, 2)
CKMAP_THROUGH(BF16ToF8E4M3, float, BF16ToF32, F32ToF8E4M3, 2, 1)
CKMAP_THROUGH(BF16ToF8E5M2, float, BF16ToF32, F32ToF8E5M2, 2, 1)
CKMAP_THROUGH(BF16ToF64, float, BF16ToF32, F32ToF64, 2, 8)
CKMAP_THROUGH(BF16ToI8, float, BF16ToF32, F32ToI8, 2, 1)
CKMAP_THROUGH(BF16ToU8, float, BF16ToF32, F32ToU8, 2, 1)
#undef CKMAP_THROUGH

}  // namespace HWY_NAMESPACE
}  // namespace ckmap
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ckmap {
namespace {

HWY_EXPORT(F8E4M3ToF32);
HWY_EXPORT(F8E5M2ToF32);
HWY_EXPORT(F32ToF16);
HWY_EXPORT(F32ToBF16);
HWY_EXPORT(F32ToF8E4M3);
HWY_EXPORT(F32ToF8E5M2);
HWY_EXPORT(F64ToF8E4M3);
HWY_EXPORT(F64ToF8E5M2);
HWY_EXPORT(F64ToI8);
HWY_EXPORT(F64ToU8);
HWY_EXPORT(F32ToF64);
HWY_EXPORT(F16ToF32);
HWY_EXPORT(BF16ToF32);
HWY_EXPORT(F64ToF32);
HWY_EXPORT(F32ToI8);
HWY_EXPORT(F32ToU8);
HWY_EXPORT(F64ToF16);
HWY_EXPORT(F64ToBF16);
HWY_EXPORT(F16ToBF16);
HWY_EXPORT(F16ToF8E4M3);
HWY_EXPORT(F16ToF8E5M2);
HWY_EXPORT(F16ToF64);
HWY_EXPORT(F16ToI8);
HWY_EXPORT(F16ToU8);
HWY_EXPORT(BF16ToF16);
HWY_EXPORT(BF16ToF8E4M3);
HWY_EXPORT(BF16ToF8E5M2);
HWY_EXPORT(BF16ToF64);
HWY_EXPORT(BF16ToI8);
HWY_EXPORT(BF16ToU8);

// F32ToF16 and its like by their dtypes.
struct Kernel {
  DType from;
  DType to;
  VectorCast (*find)();
};

#define CKMAP_KERNEL(FROM, TO)                                                                  \
  {                                                                                             \
    DType::k##FROM, DType::k##TO, [] { return VectorCast{HWY_DYNAMIC_DISPATCH(FROM##To##TO)}; } \
  }
constexpr Kernel kKernels[] = {
    CKMAP_KERNEL(F32, F16),     CKMAP_KERNEL(F32, BF16),   CKMAP_KERNEL(F32, F8E4M3), CKMAP_KERNEL(F32, F8E5M2),
    CKMAP_KERNEL(F64, F8E4M3),  CKMAP_KERNEL(F64, F8E5M2), CKMAP_KERNEL(F64, I8),     CKMAP_KERNEL(F64, U8),
    CKMAP_KERNEL(F32, F64),     CKMAP_KERNEL(F16, F32),    CKMAP_KERNEL(BF16, F32),   CKMAP_KERNEL(F64, F32),
    CKMAP_KERNEL(F32, I8),      CKMAP_KERNEL(F32, U8),     CKMAP_KERNEL(F64, F16),    CKMAP_KERNEL(F64, BF16),
    CKMAP_KERNEL(F16, BF16),    CKMAP_KERNEL(F16, F8E4M3), CKMAP_KERNEL(F16, F8E5M2), CKMAP_KERNEL(F16, F64),
    CKMAP_KERNEL(F16, I8),      CKMAP_KERNEL(F16, U8),     CKMAP_KERNEL(BF16, F16),   CKMAP_KERNEL(BF16, F8E4M3),
    CKMAP_KERNEL(BF16, F8E5M2), CKMAP_KERNEL(BF16, F64),   CKMAP_KERNEL(BF16, I8),    CKMAP_KERNEL(BF16, U8),
    CKMAP_KERNEL(F8E4M3, F32),  CKMAP_KERNEL(F8E5M2, F32),
};
#undef CKMAP_KERNEL

}  // namespace

VectorCast FindVectorCast(DType from, DType to) {
  for (const Kernel& kernel : kKernels) {
    if (kernel.from == from && kernel.to == to) return kernel.find();
  }
  return nullptr;
}

}  // namespace ckmap
#endif  // HWY_ONCE
