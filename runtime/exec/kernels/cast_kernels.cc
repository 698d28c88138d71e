// Plain loops without branches over integer bits: the compiler turns them into vector code, once
// for each instruction set that Highway's foreach_target includes this file for.
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

// `a` where `condition` is 1, `b` where it is 0. Masks, because the compiler makes branches of ?:,
// which keep a loop from becoming vector code.
HWY_INLINE uint32_t Select(uint32_t condition, uint32_t a, uint32_t b) {
  const uint32_t mask = 0U - condition;
  return (a & mask) | (b & ~mask);
}

template <typename T>
HWY_INLINE void Store(std::byte* to, size_t index, T value) {
  std::memcpy(to + index * sizeof(T), &value, sizeof(T));
}

HWY_INLINE uint32_t HalfToFloatBits(uint32_t half) {
  uint32_t body = (half & 0x7fffU) << 13;
  const uint32_t exponent = body & 0x0f800000U;
  body += (127U - 15U) << 23;
  body += exponent == 0x0f800000U ? (128U - 16U) << 23 : 0U;
  // A subnormal: the hidden bit is put in and taken out again by a subtraction.
  const float small = std::bit_cast<float>(body + (1U << 23)) - std::bit_cast<float>(113U << 23);
  body = exponent == 0 ? std::bit_cast<uint32_t>(small) : body;
  return body | ((half & 0x8000U) << 16);
}

VectorCounts F32ToF16(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  uint32_t overflowed = 0;
  uint32_t changed = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto bits = Load<uint32_t>(src, i);
    const uint32_t body = bits & 0x7fffffffU;
    const uint32_t nan = body > 0x7f800000U ? 1U : 0U;
    // Normal: add just below half of the last kept bit, and that bit itself (ties to even).
    uint32_t normal = (body + 0xc8000fffU + ((body >> 13) & 1U)) >> 13;
    normal = Select(normal > 0x7c00U ? 1U : 0U, 0x7c00U, normal);
    // Subnormal: adding 0.5 shifts the value to where the last bit of a float is worth 2^-24.
    const float sum = std::bit_cast<float>(body) + 0.5F;
    const uint32_t small = std::bit_cast<uint32_t>(sum) - 0x3f000000U;
    const uint32_t is_small = body < 0x38800000U ? 1U : 0U;
    const uint32_t quiet = 0x7e00U | ((body >> 13) & 0x3ffU);
    const uint32_t half = Select(nan, quiet, Select(is_small, small, normal));
    const float back = static_cast<float>(static_cast<int32_t>(small & 0xffffU)) * 0x1p-24F;
    const uint32_t lost_small = std::bit_cast<uint32_t>(back) != body ? 1U : 0U;
    const uint32_t lost_normal = (body & 0x1fffU) != 0 ? 1U : 0U;
    const uint32_t over = (body < 0x7f800000U ? 1U : 0U) & (half == 0x7c00U ? 1U : 0U);
    overflowed += over;
    changed += (Select(is_small, lost_small, lost_normal) & (nan ^ 1U)) | over;
    Store(dst, i, static_cast<uint16_t>(half | ((bits >> 16) & 0x8000U)));
  }
  return {overflowed, changed};
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

// How a float is laid out whose bits are a `Bits`.
template <typename Bits>
struct Layout;
template <>
struct Layout<uint32_t> {
  using Float = float;
  static constexpr int kMantissa = 23;
  static constexpr uint32_t kBias = 127;
};
template <>
struct Layout<uint64_t> {
  using Float = double;
  static constexpr int kMantissa = 52;
  static constexpr uint64_t kBias = 1023;
};

template <typename Bits>
HWY_INLINE Bits SelectBits(Bits condition, Bits a, Bits b) {
  const Bits mask = Bits{0} - condition;
  return (a & mask) | (b & ~mask);
}

// To 8 bits: `kMantissa` of them behind an exponent of bias `kBias`; bodies above `kMax` are infinity (where there is one) or NaN.
// What overflows is counted and left to others.
template <typename Bits, int kMantissa, Bits kBias, Bits kMax, bool kInfinity>
HWY_INLINE VectorCounts ToF8(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  using In = Layout<Bits>;
  using Float = typename In::Float;
  constexpr Bits kOne = 1;
  constexpr int kShift = In::kMantissa - kMantissa;
  constexpr Bits kAbs = static_cast<Bits>(~Bits{0}) >> 1;
  constexpr Bits kInf = kAbs >> In::kMantissa << In::kMantissa;
  // A float whose last bit is worth the smallest subnormal.
  constexpr Bits kMagic = (In::kBias + 1 - kBias + static_cast<Bits>(kShift)) << In::kMantissa;
  constexpr auto kUnit = std::bit_cast<Float>((In::kBias + 1 - kBias - static_cast<Bits>(kMantissa)) << In::kMantissa);
  Bits overflowed = 0;
  Bits changed = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto bits = Load<Bits>(src, i);
    const Bits body = bits & kAbs;
    const Bits nan = body > kInf ? 1 : 0;
    const Bits infinite = body == kInf ? 1 : 0;
    const Bits normal = (body - ((In::kBias - kBias) << In::kMantissa) + ((kOne << (kShift - 1)) - 1) + ((body >> kShift) & 1)) >> kShift;
    const Float sum = std::bit_cast<Float>(body) + std::bit_cast<Float>(kMagic);
    const Bits small = std::bit_cast<Bits>(sum) - kMagic;
    const Bits is_small = body < ((In::kBias + 1 - kBias) << In::kMantissa) ? 1 : 0;
    const Bits value = SelectBits<Bits>(is_small, small, normal);
    const Bits quiet = kInfinity ? kMax + 1 + (((body >> kShift) & ((kOne << kMantissa) - 1)) | (kOne << (kMantissa - 1))) : 0x7f;
    const Bits out = SelectBits<Bits>(nan, quiet, kInfinity ? SelectBits<Bits>(infinite, kMax + 1, value) : value);
    const Bits over = Bits{value > kMax} & (nan ^ 1) & (kInfinity ? infinite ^ 1 : 1);
    const Float back = static_cast<Float>(static_cast<int32_t>(small & 0xff)) * kUnit;
    const Bits lost_small = std::bit_cast<Bits>(back) != body ? 1 : 0;
    const Bits lost_normal = (body & ((kOne << kShift) - 1)) != 0 ? 1 : 0;
    overflowed += over;
    changed += (SelectBits<Bits>(is_small, lost_small, lost_normal) & (nan ^ 1)) | over;
    Store(dst, i, static_cast<uint8_t>(out | ((bits >> (sizeof(Bits) * 8 - 8)) & 0x80)));
  }
  return {static_cast<uint32_t>(overflowed), static_cast<uint32_t>(changed)};
}

VectorCounts F32ToF8E4M3(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return ToF8<uint32_t, 3, 7, 0x7e, false>(src, dst, count);
}

VectorCounts F32ToF8E5M2(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return ToF8<uint32_t, 2, 15, 0x7b, true>(src, dst, count);
}

VectorCounts F64ToF8E4M3(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return ToF8<uint64_t, 3, 7, 0x7e, false>(src, dst, count);
}

VectorCounts F64ToF8E5M2(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return ToF8<uint64_t, 2, 15, 0x7b, true>(src, dst, count);
}

// To integers of 8 bits; NaN overflows.
template <typename T, int kMin, int kMax>
HWY_INLINE VectorCounts F64ToInteger(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  constexpr double kMagic = 0x1.8p52;  // beside it a double's last bit is worth 1: a sum is rounded to nearest, ties to even
  uint64_t overflowed = 0;
  uint64_t changed = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto value = Load<double>(src, i);
    const double shifted = value + kMagic;
    const double rounded = shifted - kMagic;
    // Outside of these, `rounded` may be anything.
    const uint64_t inside = uint64_t{value > kMin - 1.0} & uint64_t{value < kMax + 1.0} & uint64_t{rounded >= kMin} & uint64_t{rounded <= kMax};
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
    const uint64_t kept = uint64_t{bits & 0x80000000U} << 32 | uint64_t{0x7ff} << 52 | uint64_t{bits & 0x007fffffU} << 29;
    const auto value = std::bit_cast<uint64_t>(static_cast<double>(std::bit_cast<float>(bits)));
    Store(dst, i, SelectBits<uint64_t>(nan, kept, value));
  }
  return {};
}

VectorCounts F16ToF32(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  for (size_t i = 0; i < count; ++i) Store(dst, i, HalfToFloatBits(Load<uint16_t>(src, i)));
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

}  // namespace HWY_NAMESPACE
}  // namespace ckmap
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ckmap {
namespace {

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

}  // namespace

VectorCast FindVectorCast(DType from, DType to) {
  if (from == DType::kF32 && to == DType::kF16) return HWY_DYNAMIC_DISPATCH(F32ToF16);
  if (from == DType::kF32 && to == DType::kBF16) return HWY_DYNAMIC_DISPATCH(F32ToBF16);
  if (from == DType::kF32 && to == DType::kF8E4M3) return HWY_DYNAMIC_DISPATCH(F32ToF8E4M3);
  if (from == DType::kF32 && to == DType::kF8E5M2) return HWY_DYNAMIC_DISPATCH(F32ToF8E5M2);
  if (from == DType::kF64 && to == DType::kF8E4M3) return HWY_DYNAMIC_DISPATCH(F64ToF8E4M3);
  if (from == DType::kF64 && to == DType::kF8E5M2) return HWY_DYNAMIC_DISPATCH(F64ToF8E5M2);
  if (from == DType::kF64 && to == DType::kI8) return HWY_DYNAMIC_DISPATCH(F64ToI8);
  if (from == DType::kF64 && to == DType::kU8) return HWY_DYNAMIC_DISPATCH(F64ToU8);
  if (from == DType::kF32 && to == DType::kF64) return HWY_DYNAMIC_DISPATCH(F32ToF64);
  if (from == DType::kF16 && to == DType::kF32) return HWY_DYNAMIC_DISPATCH(F16ToF32);
  if (from == DType::kBF16 && to == DType::kF32) return HWY_DYNAMIC_DISPATCH(BF16ToF32);
  if (from == DType::kF64 && to == DType::kF32) return HWY_DYNAMIC_DISPATCH(F64ToF32);
  return nullptr;
}

}  // namespace ckmap
#endif  // HWY_ONCE
