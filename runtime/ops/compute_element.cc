// Arithmetic on one element. Integers are computed in 128 bits, which no product or sum of two of them leaves.
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "runtime/ops/element_op.h"
#include "runtime/ops/in_double.h"
#include "runtime/ops/op_table.h"

namespace ckmap {
namespace {

using Kind = ElementOp::Kind;
__extension__ using Wide = __int128;

bool IsSigned(DType dtype) { return DTypeName(dtype).front() == 'i'; }

// An operand that integers can be computed with exactly: a whole number, or the inverse of one.
struct IntegerOperand {
  Wide value = 0;
  bool divides = false;
};

std::optional<IntegerOperand> OperandOf(const ElementOp& op) {
  if (const int64_t* integer = std::get_if<int64_t>(&op.operand)) return IntegerOperand{*integer, false};
  const double real = std::get<double>(op.operand);
  if (std::fabs(real) < 0x1p53 && real == std::floor(real)) return IntegerOperand{static_cast<Wide>(real), false};
  int exponent = 0;
  const bool part = std::fabs(std::frexp(real, &exponent)) == 0.5 && std::fabs(real) >= 0x1p-62;
  if (!part || op.kind != Kind::kScale || op.overflow != Overflow::kError) return std::nullopt;
  return IntegerOperand{static_cast<Wide>(1 / real), true};
}

ElementResult ComputeInteger(const ElementOp& op, uint64_t bits) {
  const int width = DTypeBits(op.from);
  const bool is_signed = IsSigned(op.from);
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  bits &= mask;
  Wide value = static_cast<Wide>(bits);
  if (is_signed && (bits >> (width - 1) & 1) != 0) value -= Wide{1} << width;
  const IntegerOperand operand = OperandOf(op).value_or(IntegerOperand{});
  bool exact = true;
  if (op.kind == Kind::kNegate) {
    value = -value;
  } else if (op.kind == Kind::kAdd) {
    value += operand.value;
  } else if (!operand.divides) {
    value *= operand.value;
  } else {
    exact = value % operand.value == 0;
    value /= operand.value;
  }
  const Wide high = (Wide{1} << (is_signed ? width - 1 : width)) - 1, low = is_signed ? -high - 1 : Wide{0};
  const bool outside = value > high || value < low;
  if (outside) value = value > high ? high : low;
  return {static_cast<uint64_t>(value) & mask, outside || !exact, outside || !exact};
}

uint64_t FlipSign(DType dtype, uint64_t bits) {
  const uint64_t sign = uint64_t{1} << (DTypeBits(dtype) - 1);
  // The fnuz types have no negative zero; its code is their NaN.
  const bool fnuz = dtype == DType::kF8E4M3Fnuz || dtype == DType::kF8E5M2Fnuz;
  return fnuz && (bits & ~sign) == 0 ? bits : bits ^ sign;
}

ElementResult ComputeFloat(const ElementOp& op, uint64_t bits) {
  if (op.kind == Kind::kNegate) return {FlipSign(op.from, bits), false, false};
  const double operand = ExactDouble(op.operand).value_or(0);
  const double value = std::bit_cast<double>(CastElement({op.from, DType::kF64, Overflow::kError}, bits).bits);
  if (std::isnan(value)) return {bits, false, false};
  const InDouble computed = ComputeInDouble(op.kind, operand, value);
  ElementResult result = CastElement({DType::kF64, op.to, op.overflow}, std::bit_cast<uint64_t>(computed.value));
  if (std::isfinite(value) && !std::isfinite(computed.value)) {  // beyond f64 itself
    const double most = op.overflow == Overflow::kInf
                            ? computed.value
                            : std::copysign(std::numeric_limits<double>::max(), computed.value);
    result = CastElement({DType::kF64, op.to, op.overflow}, std::bit_cast<uint64_t>(most));
    result.overflowed = result.changed = true;
  }
  result.changed = result.changed || !computed.exact;
  result.overflowed = result.overflowed || (result.changed && MustBeExact(op, operand));
  return result;
}

}  // namespace

bool CanCompute(const ElementOp& op) {
  if (op.from != op.to) return false;
  switch (op.kind) {
    case Kind::kCast:
    case Kind::kBitcast:
      return false;
    case Kind::kByteswap:
      return Holds(DTypes::kWholeBytes, op.from);
    case Kind::kNegate:
      return Holds(DTypes::kSigned, op.from);
    case Kind::kScale:
    case Kind::kAdd:
      if (!Holds(DTypes::kNumbers, op.from)) return false;
      break;
  }
  if (op.kind == Kind::kScale && IsZero(op.operand)) return false;
  if (IsInteger(op.from)) return op.overflow != Overflow::kInf && OperandOf(op);
  const auto operand = ExactDouble(op.operand);
  return operand && std::isfinite(*operand) && CanCast({DType::kF64, op.from, op.overflow});
}

ElementResult ComputeElement(const ElementOp& op, uint64_t bits) {
  if (op.kind == Kind::kByteswap) {
    uint64_t swapped = 0;
    for (int64_t i = 0; i < DTypeSize(op.from); ++i) swapped = swapped << 8 | (bits >> (8 * i) & 0xff);
    return {swapped, false, false};
  }
  return IsInteger(op.from) ? ComputeInteger(op, bits) : ComputeFloat(op, bits);
}

ElementResult ApplyToElement(const ElementOp& op, uint64_t bits) {
  if (op.kind == Kind::kBitcast) return {bits, false, false};
  return op.kind == Kind::kCast ? CastElement(op, bits) : ComputeElement(op, bits);
}

std::string FormatOp(const ElementOp& op) {
  switch (op.kind) {
    case Kind::kScale:
      return fmt::format("scale({})", FormatNumber(op.operand));
    case Kind::kAdd:
      return fmt::format("add({})", FormatNumber(op.operand));
    case Kind::kNegate:
      return "neg()";
    case Kind::kByteswap:
      return "byteswap()";
    case Kind::kBitcast:
      return fmt::format("bitcast({})", DTypeName(op.to));
    case Kind::kCast:
      break;
  }
  return fmt::format("cast({})", DTypeName(op.to));
}

}  // namespace ckmap
