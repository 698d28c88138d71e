#include "runtime/exec/kernels/arithmetic.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/ops/op_table.h"

namespace ckmap {
namespace {

using Kind = ElementOp::Kind;
__extension__ using Wide = __int128;

bool IsSigned(DType dtype) { return DTypeName(dtype).front() == 'i'; }

// ---- integers ----------------------------------------------------------------------------------

CastOne ComputeInteger(const ElementOp& op, uint64_t bits) {
  const int width = DTypeBits(op.from);
  const bool is_signed = IsSigned(op.from);
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  bits &= mask;
  Wide value = static_cast<Wide>(bits);
  if (is_signed && (bits >> (width - 1) & 1) != 0) value -= Wide{1} << width;
  bool exact = true;
  if (op.kind == Kind::kNegate) {
    value = -value;
  } else if (op.kind == Kind::kAdd) {
    value += static_cast<Wide>(op.operand);
  } else if (std::fabs(op.operand) >= 1) {
    value *= static_cast<Wide>(op.operand);
  } else {
    const auto divisor = static_cast<Wide>(1 / op.operand);  // a power of two
    exact = value % divisor == 0;
    value /= divisor;
  }
  const Wide high = (Wide{1} << (is_signed ? width - 1 : width)) - 1, low = is_signed ? -high - 1 : Wide{0};
  const bool outside = value > high || value < low;
  if (outside) value = value > high ? high : low;
  return {static_cast<uint64_t>(value) & mask, outside || !exact, outside || !exact};
}

// ---- floats ------------------------------------------------------------------------------------

uint64_t FlipSign(DType dtype, uint64_t bits) {
  const uint64_t sign = uint64_t{1} << (DTypeBits(dtype) - 1);
  // The fnuz types have no negative zero; its code is their NaN.
  const bool fnuz = dtype == DType::kF8E4M3Fnuz || dtype == DType::kF8E5M2Fnuz;
  return fnuz && (bits & ~sign) == 0 ? bits : bits ^ sign;
}

struct Computed {
  double value = 0;
  bool exact = true;  // no bit was lost in f64
};

Computed InDouble(const ElementOp& op, double value) {
  if (op.kind == Kind::kScale) {
    const double product = value * op.operand;
    // Among the smallest numbers the error of a product may itself be too small to be seen.
    if (std::fabs(product) < 0x1p-960) return {product, product / op.operand == value};
    return {product, !std::isfinite(product) || std::fma(value, op.operand, -product) == 0};
  }
  const double sum = value + op.operand;  // and its error, after Knuth
  const double other = sum - value;
  const double error = (value - (sum - other)) + (op.operand - other);
  return {sum, !std::isfinite(sum) || error == 0};
}

bool MustBeExact(const ElementOp& op) {
  int exponent = 0;
  return op.kind == Kind::kScale && op.overflow == Overflow::kError && std::fabs(std::frexp(op.operand, &exponent)) == 0.5;
}

CastOne ComputeFloat(const ElementOp& op, uint64_t bits) {
  if (op.kind == Kind::kNegate) return {FlipSign(op.from, bits), false, false};
  const double value = std::bit_cast<double>(CastElement({op.from, DType::kF64, Overflow::kError}, bits).bits);
  if (std::isnan(value)) return {bits, false, false};
  const Computed computed = InDouble(op, value);
  CastOne result = CastElement({DType::kF64, op.to, op.overflow}, std::bit_cast<uint64_t>(computed.value));
  if (std::isfinite(value) && !std::isfinite(computed.value)) {  // beyond f64 itself
    const double most = op.overflow == Overflow::kInf ? computed.value
                                                      : std::copysign(std::numeric_limits<double>::max(), computed.value);
    result = CastElement({DType::kF64, op.to, op.overflow}, std::bit_cast<uint64_t>(most));
    result.overflowed = result.changed = true;
  }
  result.changed = result.changed || !computed.exact;
  result.overflowed = result.overflowed || (result.changed && MustBeExact(op));
  return result;
}

// ---- blocks ------------------------------------------------------------------------------------

void Note(const CastOne& one, size_t index, CastCounts& counts, uint8_t* touched) {
  if (one.overflowed) {
    if (counts.first_overflow < 0) counts.first_overflow = static_cast<int64_t>(index);
    ++counts.overflowed;
  }
  if (!one.changed) return;
  ++counts.changed;
  if (touched != nullptr) touched[index] = 1;
}

// The usual case in a few instructions: the element is a number, and so is the result.
void ComputeSingles(const ElementOp& op, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                    uint8_t* touched) {
  const bool must_be_exact = MustBeExact(op);
  for (size_t i = 0; i < count; ++i) {
    float value = 0;
    std::memcpy(&value, src + i * sizeof(float), sizeof(float));
    const Computed computed = InDouble(op, value);
    const auto rounded = static_cast<float>(computed.value);
    const bool changed = static_cast<double>(rounded) != computed.value || !computed.exact;
    if (!std::isfinite(rounded) || (changed && must_be_exact)) {
      const CastOne one = ComputeFloat(op, std::bit_cast<uint32_t>(value));
      const auto bits = static_cast<uint32_t>(one.bits);
      std::memcpy(dst + i * sizeof(float), &bits, sizeof(bits));
      Note(one, i, counts, touched);
      continue;
    }
    std::memcpy(dst + i * sizeof(float), &rounded, sizeof(float));
    if (changed) Note({0, false, true}, i, counts, touched);
  }
}

void ComputeOneByOne(const ElementOp& op, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                     uint8_t* touched) {
  const auto size = static_cast<size_t>(DTypeSize(op.from));
  // Of a narrow type all results are worked out once.
  std::vector<CastOne> table;
  const size_t values = size == 1 ? 256 : size == 2 ? 65536 : 0;
  if (values != 0 && count >= values) {
    for (size_t i = 0; i < values; ++i) table.push_back(ComputeElement(op, i));
  }
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, src + i * size, size);
    const CastOne one = table.empty() ? ComputeElement(op, bits) : table[bits];
    std::memcpy(dst + i * size, &one.bits, size);
    Note(one, i, counts, touched);
  }
}

bool IsWhole(double value) { return std::fabs(value) <= 0x1p53 && value == std::floor(value); }

bool IsPowerOfTwo(double value) {
  int exponent = 0;
  return std::fabs(std::frexp(value, &exponent)) == 0.5;
}

}  // namespace

bool CanCompute(const ElementOp& op) {
  if (op.from != op.to) return false;
  switch (op.kind) {
    case Kind::kCast:
    case Kind::kBitcast: return false;
    case Kind::kByteswap: return Holds(DTypes::kWholeBytes, op.from);
    case Kind::kNegate: return Holds(DTypes::kSigned, op.from);
    case Kind::kScale:
    case Kind::kAdd:
      if (!Holds(DTypes::kNumbers, op.from)) return false;
      break;
  }
  if (!std::isfinite(op.operand) || (op.kind == Kind::kScale && op.operand == 0)) return false;
  if (!IsInteger(op.from)) return CanCast({DType::kF64, op.from, op.overflow});
  if (op.overflow == Overflow::kInf) return false;
  if (IsWhole(op.operand)) return true;
  return op.kind == Kind::kScale && op.overflow == Overflow::kError && IsPowerOfTwo(op.operand) &&
         std::fabs(op.operand) >= 0x1p-62;
}

CastOne ComputeElement(const ElementOp& op, uint64_t bits) {
  if (op.kind == Kind::kByteswap) {
    uint64_t swapped = 0;
    for (int64_t i = 0; i < DTypeSize(op.from); ++i) swapped = swapped << 8 | (bits >> (8 * i) & 0xff);
    return {swapped, false, false};
  }
  return IsInteger(op.from) ? ComputeInteger(op, bits) : ComputeFloat(op, bits);
}

void ComputeElements(const ElementOp& op, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                     uint8_t* touched) {
  CKMAP_CHECK(CanCompute(op));
  if (op.from == DType::kF32 && (op.kind == Kind::kScale || op.kind == Kind::kAdd)) {
    return ComputeSingles(op, src, dst, count, counts, touched);
  }
  ComputeOneByOne(op, src, dst, count, counts, touched);
}

}  // namespace ckmap
