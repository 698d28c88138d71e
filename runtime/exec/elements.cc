#include "runtime/exec/elements.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "runtime/exec/kernels/arithmetic.h"
#include "runtime/exec/kernels/cast.h"

namespace ckmap {
namespace {

constexpr int64_t kBlock = 4096;

struct Scratch {
  alignas(64) std::array<std::byte, kBlock * 16> front;
  alignas(64) std::array<std::byte, kBlock * 16> back;
  std::array<uint8_t, kBlock> touched;
};

Scratch& ThreadScratch() {
  static thread_local Scratch scratch;
  return scratch;
}

// Bytes of the smallest unit that has a byte order and a sign: a complex element has two.
int64_t UnitSize(DType dtype) { return DTypeSize(dtype) / (IsComplex(dtype) ? 2 : 1); }

void SwapBytes(std::byte* data, int64_t bytes, int64_t unit) {
  for (std::byte* p = data; p < data + bytes; p += unit) std::reverse(p, p + unit);
}

// Flips the sign bit of every `step`-th unit, from unit `first` on.
void FlipSigns(std::byte* data, int64_t bytes, int64_t unit, int64_t first, int64_t step) {
  for (int64_t at = first * unit + unit - 1; at < bytes; at += step * unit) data[at] ^= std::byte{0x80};
}

void NegateIntegers(std::byte* data, int64_t bytes, int64_t unit) {
  for (std::byte* p = data; p < data + bytes; p += unit) {
    uint64_t value = 0;
    std::memcpy(&value, p, static_cast<size_t>(unit));
    value = ~value + 1;
    std::memcpy(p, &value, static_cast<size_t>(unit));
  }
}

void PutRight(const ElementChain& chain, std::byte* data, int64_t bytes) {
  const int64_t unit = UnitSize(chain.from);
  if (chain.byteswap && unit > 1) SwapBytes(data, bytes, unit);
  if (chain.conjugate && IsComplex(chain.from)) FlipSigns(data, bytes, unit, 1, 2);
  if (chain.negative) {
    if (IsInteger(chain.from)) {
      NegateIntegers(data, bytes, unit);
    } else {
      FlipSigns(data, bytes, unit, 0, 1);
    }
  }
}

// One block: at most kBlock elements.
void ConvertBlock(const ElementChain& chain, const std::byte* src, std::byte* dst, int64_t count, int64_t index,
                  ElementCounts& counts) {
  Scratch& scratch = ThreadScratch();
  const int64_t bytes = count * DTypeSize(chain.from);
  if (chain.byteswap || chain.conjugate || chain.negative) {
    std::byte* right = chain.casts.empty() ? dst : scratch.front.data();
    std::memcpy(right, src, static_cast<size_t>(bytes));
    PutRight(chain, right, bytes);
    src = right;
  }
  const bool several = chain.casts.size() > 1;
  if (several) std::fill_n(scratch.touched.begin(), count, uint8_t{0});
  CastCounts sums;
  for (size_t k = 0; k < chain.casts.size(); ++k) {
    const ElementOp& cast = chain.casts[k];
    std::byte* out = dst;
    if (k + 1 < chain.casts.size()) {
      out = src == scratch.back.data() ? scratch.front.data() : scratch.back.data();
    }
    CastCounts one;
    const auto apply = cast.kind == ElementOp::Kind::kCast ? CastElements : ComputeElements;
    apply(cast, src, out, static_cast<size_t>(count), one, several ? scratch.touched.data() : nullptr);
    sums.overflowed += one.overflowed;
    sums.changed += one.changed;
    const int64_t where = index + one.first_overflow;
    if (cast.overflow == Overflow::kError && one.overflowed > 0 &&
        (counts.first.index < 0 || where < counts.first.index)) {
      const int64_t size = DTypeSize(cast.from);
      counts.first = {where, 0, cast};
      std::memcpy(&counts.first.bits, src + one.first_overflow * size, static_cast<size_t>(size));
    }
    src = out;
  }
  counts.overflowed += sums.overflowed;
  counts.changed += several ? std::count(scratch.touched.begin(), scratch.touched.begin() + count, 1) : sums.changed;
}

Error NotDefined(const ElementOp& op) {
  return {ErrorCode::kMismatch, fmt::format("{} is not defined for {}{}", FormatOp(op), DTypeName(op.from),
                                            op.overflow == Overflow::kInf ? " with overflow=inf" : "")};
}

}  // namespace

std::string DescribeRefusal(const ElementOp& op, uint64_t bits) {
  const bool infinite = CanCast({op.from == op.to ? DType::kF64 : op.from, op.to, Overflow::kInf}) && !IsInteger(op.to);
  const std::string instead = fmt::format("overflow=saturate{} if that is meant", infinite ? " or inf" : "");
  if (op.kind == ElementOp::Kind::kCast) {
    return fmt::format("is {}, which {} cannot hold; cast with {}", FormatElement(op.from, bits), DTypeName(op.to),
                       instead);
  }
  return fmt::format("is {}, and {} cannot hold exactly what {} makes of it{}", FormatElement(op.from, bits),
                     DTypeName(op.to), FormatOp(op),
                     op.kind == ElementOp::Kind::kNegate ? "" : fmt::format("; say {}", instead));
}

Result<ElementChain> MakeElementChain(DType from, const std::vector<ElementOp>& casts, DType to,
                                      const TensorLayout& layout) {
  ElementChain chain;
  chain.from = from;
  chain.to = to;
  chain.byteswap = layout.byteswap && DTypeBits(from) > 8;
  chain.conjugate = layout.conjugate;
  chain.negative = layout.negative;
  DType now = from;
  for (const ElementOp& cast : casts) {
    CKMAP_CHECK(cast.from == now);
    now = cast.to;
    if (cast.kind == ElementOp::Kind::kBitcast) continue;
    if (cast.kind != ElementOp::Kind::kCast) {
      if (!CanCompute(cast)) return NotDefined(cast);
      chain.casts.push_back(cast);
      continue;
    }
    if (cast.from == cast.to) continue;
    if (!CanCast(cast)) {
      return Error(ErrorCode::kMismatch,
                   fmt::format("{} cannot be cast to {}{}", DTypeName(cast.from), DTypeName(cast.to),
                               cast.overflow == Overflow::kInf ? " with overflow=inf" : ""));
    }
    chain.casts.push_back(cast);
  }
  CKMAP_CHECK(now == to || (casts.empty() && DTypeBits(now) == DTypeBits(to)));
  return chain;
}

void ConvertElements(const ElementChain& chain, const std::byte* src, std::byte* dst, int64_t count, int64_t index,
                     ElementCounts& counts) {
  const int64_t from = DTypeSize(chain.from);
  const int64_t to = DTypeSize(chain.to);
  if (chain.trivial()) {
    std::memcpy(dst, src, static_cast<size_t>(count * from));
    return;
  }
  for (int64_t done = 0; done < count; done += kBlock) {
    ConvertBlock(chain, src + done * from, dst + done * to, std::min(kBlock, count - done), index + done, counts);
  }
}

}  // namespace ckmap
