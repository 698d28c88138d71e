// Plain loops without branches over integer bits: the compiler turns them into vector code, once
// for each instruction set that Highway's foreach_target includes this file for.
#include "runtime/exec/cast_kernels.h"

#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/exec/cast_kernels.cc"
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

// To 8 bits: `kMantissa` of them behind an exponent of bias `kBias`; bodies above `kMax` are infinity (where there is one) or NaN.
// What overflows is counted and left to others.
template <int kMantissa, uint32_t kBias, uint32_t kMax, bool kInfinity>
HWY_INLINE VectorCounts F32ToF8(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  constexpr int kShift = 23 - kMantissa;
  // A float whose last bit is worth the smallest subnormal.
  constexpr uint32_t kMagic = (127U + 1U - kBias + static_cast<uint32_t>(kShift)) << 23;
  constexpr float kUnit = std::bit_cast<float>((127U + 1U - kBias - static_cast<uint32_t>(kMantissa)) << 23);
  uint32_t overflowed = 0;
  uint32_t changed = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto bits = Load<uint32_t>(src, i);
    const uint32_t body = bits & 0x7fffffffU;
    const uint32_t nan = body > 0x7f800000U ? 1U : 0U;
    const uint32_t infinite = body == 0x7f800000U ? 1U : 0U;
    const uint32_t normal = (body - ((127U - kBias) << 23) + ((1U << (kShift - 1)) - 1U) + ((body >> kShift) & 1U)) >> kShift;
    const float sum = std::bit_cast<float>(body) + std::bit_cast<float>(kMagic);
    const uint32_t small = std::bit_cast<uint32_t>(sum) - kMagic;
    const uint32_t is_small = body < ((128U - kBias) << 23) ? 1U : 0U;
    const uint32_t value = Select(is_small, small, normal);
    const uint32_t quiet = kInfinity ? kMax + 1U + (((body >> kShift) & ((1U << kMantissa) - 1U)) | (1U << (kMantissa - 1))) : 0x7fU;
    const uint32_t out = Select(nan, quiet, kInfinity ? Select(infinite, kMax + 1U, value) : value);
    const uint32_t over = (value > kMax ? 1U : 0U) & (nan ^ 1U) & (kInfinity ? infinite ^ 1U : 1U);
    const float back = static_cast<float>(static_cast<int32_t>(small & 0xffU)) * kUnit;
    const uint32_t lost_small = std::bit_cast<uint32_t>(back) != body ? 1U : 0U;
    const uint32_t lost_normal = (body & ((1U << kShift) - 1U)) != 0 ? 1U : 0U;
    overflowed += over;
    changed += (Select(is_small, lost_small, lost_normal) & (nan ^ 1U)) | over;
    Store(dst, i, static_cast<uint8_t>(out | ((bits >> 24) & 0x80U)));
  }
  return {overflowed, changed};
}

VectorCounts F32ToF8E4M3(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return F32ToF8<3, 7, 0x7e, false>(src, dst, count);
}

VectorCounts F32ToF8E5M2(const std::byte* HWY_RESTRICT src, std::byte* HWY_RESTRICT dst, size_t count) {
  return F32ToF8<2, 15, 0x7b, true>(src, dst, count);
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
HWY_EXPORT(F16ToF32);
HWY_EXPORT(BF16ToF32);
HWY_EXPORT(F64ToF32);

}  // namespace

VectorCast FindVectorCast(DType from, DType to) {
  if (from == DType::kF32 && to == DType::kF16) return HWY_DYNAMIC_DISPATCH(F32ToF16);
  if (from == DType::kF32 && to == DType::kBF16) return HWY_DYNAMIC_DISPATCH(F32ToBF16);
  if (from == DType::kF32 && to == DType::kF8E4M3) return HWY_DYNAMIC_DISPATCH(F32ToF8E4M3);
  if (from == DType::kF32 && to == DType::kF8E5M2) return HWY_DYNAMIC_DISPATCH(F32ToF8E5M2);
  if (from == DType::kF16 && to == DType::kF32) return HWY_DYNAMIC_DISPATCH(F16ToF32);
  if (from == DType::kBF16 && to == DType::kF32) return HWY_DYNAMIC_DISPATCH(BF16ToF32);
  if (from == DType::kF64 && to == DType::kF32) return HWY_DYNAMIC_DISPATCH(F64ToF32);
  return nullptr;
}

}  // namespace ckmap
#endif  // HWY_ONCE
