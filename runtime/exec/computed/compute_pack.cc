// Numbers of a few bits put into words, and constants.
#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/exec/computed/node_evaluator.h"
#include "runtime/ops/element_op.h"

namespace ckmap {
namespace {

class PackEvaluator final : public NodeEvaluator {
 public:
  PackEvaluator(const PackSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : NodeEvaluator(std::move(lowered), gatherer),
        spec_(spec),
        least_(spec.is_signed ? -(1 << (spec.bits - 1)) : 0),
        most_((1 << (spec.bits - (spec.is_signed ? 1 : 0))) - 1) {}

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& overflowed) override {
    for (const Segment& segment : wanted) {
      for (int64_t done = 0; done < segment.count;) {
        const int64_t at = segment.begin + done, row = at / (spec_.words * spec_.inner);
        const int64_t word = at / spec_.inner % spec_.words, within = at % spec_.inner;
        // Of the last axis a run of words, else a run along the axes behind it.
        const int64_t run = spec_.inner == 1 ? spec_.words - word : spec_.inner - within;
        const int64_t n = std::min({kBlock, run, segment.count - done});
        words_.assign(static_cast<size_t>(n), 0);
        CKMAP_RETURN_IF_ERROR(CheckStop());
        CKMAP_RETURN_IF_ERROR(spec_.inner == 1 ? Along(row, word, n, overflowed)
                                               : Across(row, word, within, n, overflowed));
        Write(segment.out + done * word_bytes());
        done += n;
      }
    }
    return {};
  }

 private:
  static constexpr int64_t kBlock = int64_t{1} << 12;

  int64_t word_bytes() const { return spec_.word_bits / 8; }

  // The first number that has bits in a word, or would have.
  int64_t FirstCode(int64_t word) const {
    return std::min(spec_.fields != 0 ? word * spec_.fields : word * spec_.word_bits / spec_.bits, spec_.codes);
  }
  // The first one that has none in it nor in an earlier one.
  int64_t EndCode(int64_t word) const {
    const int64_t end = (word + 1) * spec_.word_bits;
    return std::min(spec_.fields != 0 ? (word + 1) * spec_.fields : (end + spec_.bits - 1) / spec_.bits, spec_.codes);
  }

  // `count` words of one row.
  Result<void> Along(int64_t row, int64_t first, int64_t count, int64_t& overflowed) {
    const int64_t from = FirstCode(first), codes = EndCode(first + count - 1) - from;
    // The first number may have begun in the word before, which counts it.
    const int64_t counted = codes > 0 && spec_.FirstBit(from) < first * spec_.word_bits ? 1 : 0;
    CKMAP_RETURN_IF_ERROR(ReadFields(row * spec_.codes + from, codes, counted, overflowed));
    for (int64_t i = 0; i < count; ++i) {
      const int64_t word = first + i, end = EndCode(word);
      uint64_t bits = 0;
      for (int64_t code = FirstCode(word); code < end; ++code)
        bits |= Placed(fields_[static_cast<size_t>(code - from)], ShiftOf(code, word));
      words_[static_cast<size_t>(i)] = bits;
    }
    return {};
  }

  // One word of `count` rows that lie side by side.
  Result<void> Across(int64_t outer, int64_t word, int64_t first, int64_t count, int64_t& overflowed) {
    const int64_t end = EndCode(word);
    for (int64_t code = FirstCode(word); code < end; ++code) {
      const int64_t begin = (outer * spec_.codes + code) * spec_.inner + first, shift = ShiftOf(code, word);
      CKMAP_RETURN_IF_ERROR(ReadFields(begin, count, shift < 0 ? count : 0, overflowed));
      for (size_t i = 0; i < words_.size(); ++i) words_[i] |= Placed(fields_[i], shift);
    }
    return {};
  }

  int64_t ShiftOf(int64_t code, int64_t word) const { return spec_.FirstBit(code) - word * spec_.word_bits; }

  // The bits that lie in a word; those that lie in its neighbours fall away.
  static uint64_t Placed(uint8_t field, int64_t shift) {
    return shift < 0 ? uint64_t{field} >> -shift : uint64_t{field} << shift;
  }

  // The bits of `count` numbers from element `begin` on. Of those from `counted` on it is counted which overflow: each
  // number is, once, in the word where it begins.
  Result<void> ReadFields(int64_t begin, int64_t count, int64_t counted, int64_t& overflowed) {
    fields_.resize(static_cast<size_t>(count));
    const DType dtype = node().operands[0].dtype;
    bytes_.resize(static_cast<size_t>(count * DTypeSize(dtype)));
    CKMAP_RETURN_IF_ERROR(operand(0).ReadBytes(begin * DTypeSize(dtype), bytes_));
    switch (dtype) {
      case DType::kI8:
        return Cut<int8_t>(begin, counted, overflowed);
      case DType::kU8:
        return Cut<uint8_t>(begin, counted, overflowed);
      case DType::kI16:
        return Cut<int16_t>(begin, counted, overflowed);
      case DType::kU16:
        return Cut<uint16_t>(begin, counted, overflowed);
      case DType::kI32:
        return Cut<int32_t>(begin, counted, overflowed);
      case DType::kU32:
        return Cut<uint32_t>(begin, counted, overflowed);
      case DType::kI64:
        return Cut<int64_t>(begin, counted, overflowed);
      default:
        return Cut<uint64_t>(begin, counted, overflowed);
    }
  }

  template <typename T>
  Result<void> Cut(int64_t begin, int64_t counted, int64_t& overflowed) {
    const auto mask = static_cast<uint8_t>((1U << spec_.bits) - 1);
    for (size_t i = 0; i < fields_.size(); ++i) {
      T number;
      std::memcpy(&number, bytes_.data() + i * sizeof(T), sizeof(T));
      bool below = false;
      if constexpr (std::is_signed_v<T>) below = number < least_;
      const bool above = std::cmp_greater(number, most_);
      if (below || above) {
        const auto at = static_cast<int64_t>(i);
        if (node().overflow == Overflow::kError) return DoesNotFit(number, begin + at);
        if (at >= counted) ++overflowed;
      }
      const int kept = below ? least_ : above ? most_ : static_cast<int>(number);
      fields_[i] = static_cast<uint8_t>(kept) & mask;
    }
    return {};
  }

  Error DoesNotFit(Wide number, int64_t index) const {
    return Wrong(
        fmt::format("element {} of {} is {}, and {} of {} bits is {} to {}; say overflow=saturate if that is "
                    "meant",
                    FormatCoordinates(index, node().operands[0].value.shape), node().names[0], FormatInteger(number),
                    spec_.is_signed ? "a signed number" : "a number", spec_.bits, least_, most_));
  }

  void Write(std::byte* out) const {
    for (size_t i = 0; i < words_.size(); ++i)
      std::memcpy(out + i * static_cast<size_t>(word_bytes()), &words_[i], static_cast<size_t>(word_bytes()));
  }

  const PackSpec& spec_;
  const int least_, most_;
  std::vector<std::byte> bytes_;
  std::vector<uint8_t> fields_;
  std::vector<uint64_t> words_;
};

class ConstantEvaluator final : public NodeEvaluator {
 public:
  ConstantEvaluator(const ConstantSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : NodeEvaluator(std::move(lowered), gatherer), spec_(spec) {}

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& /*overflowed*/) override {
    const DType dtype = node().dtype;
    const auto size = static_cast<size_t>(DTypeSize(dtype));
    for (const Segment& segment : wanted) {
      for (int64_t i = 0; i < segment.count; ++i) {
        const auto value = static_cast<uint64_t>(spec_.values[static_cast<size_t>(segment.begin + i)]);
        const uint64_t bits = CastElement({DType::kI64, dtype, Overflow::kError}, value).bits;  // the binder tried it
        std::memcpy(segment.out + static_cast<size_t>(i) * size, &bits, size);
      }
    }
    return {};
  }

 private:
  const ConstantSpec& spec_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const PackSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<PackEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const ConstantSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<ConstantEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
