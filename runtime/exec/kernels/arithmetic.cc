#include "runtime/exec/kernels/arithmetic.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/ops/in_double.h"

namespace ckmap {
namespace {

using Kind = ElementOp::Kind;

void Note(const ElementResult& one, size_t index, CastCounts& counts, uint8_t* touched) {
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
  const double operand = ExactDouble(op.operand).value_or(0);
  const bool must_be_exact = MustBeExact(op, operand);
  for (size_t i = 0; i < count; ++i) {
    float value = 0;
    std::memcpy(&value, src + i * sizeof(float), sizeof(float));
    const InDouble computed = ComputeInDouble(op.kind, operand, value);
    const auto rounded = static_cast<float>(computed.value);
    const bool changed = static_cast<double>(rounded) != computed.value || !computed.exact;
    if (!std::isfinite(rounded) || (changed && must_be_exact)) {
      const ElementResult one = ComputeElement(op, std::bit_cast<uint32_t>(value));
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
  std::vector<ElementResult> table;
  const size_t values = size == 1 ? 256 : size == 2 ? 65536 : 0;
  if (values != 0 && count >= values) {
    for (size_t i = 0; i < values; ++i) table.push_back(ComputeElement(op, i));
  }
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, src + i * size, size);
    const ElementResult one = table.empty() ? ComputeElement(op, bits) : table[bits];
    std::memcpy(dst + i * size, &one.bits, size);
    Note(one, i, counts, touched);
  }
}

}  // namespace

void ComputeElements(const ElementOp& op, const std::byte* src, std::byte* dst, size_t count, CastCounts& counts,
                     uint8_t* touched) {
  CKMAP_CHECK(CanCompute(op));
  if (op.from == DType::kF32 && (op.kind == Kind::kScale || op.kind == Kind::kAdd)) {
    return ComputeSingles(op, src, dst, count, counts, touched);
  }
  ComputeOneByOne(op, src, dst, count, counts, touched);
}

}  // namespace ckmap
