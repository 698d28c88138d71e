// Nodes of quantised tensors: fields of packed words, values of codes, slices that indices choose.
#include <algorithm>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "runtime/exec/computed/node_evaluator.h"
#include "runtime/ops/code_tables.h"

namespace ckmap {
namespace {

// Calls `make(begin, count, out)` for blocks of bounded length of each segment.
template <typename Make>
Result<void> ForBlocks(std::span<const Segment> wanted, int64_t block, int64_t element, Make make) {
  for (const Segment& segment : wanted) {
    for (int64_t done = 0; done < segment.count; done += block) {
      const int64_t count = std::min(block, segment.count - done);
      CKMAP_RETURN_IF_ERROR(make(segment.begin + done, count, segment.out + done * element));
    }
  }
  return {};
}

class UnpackEvaluator final : public NodeEvaluator {
 public:
  UnpackEvaluator(const UnpackSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : NodeEvaluator(std::move(lowered), gatherer), spec_(spec) {}

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& /*overflowed*/) override {
    return ForBlocks(wanted, kBlock, 1, [&](int64_t begin, int64_t count, std::byte* out) -> Result<void> {
      CKMAP_RETURN_IF_ERROR(CheckStop());
      for (int64_t done = 0; done < count;) {
        const int64_t at = begin + done, row = at / (spec_.codes * spec_.inner),
                      within = at % (spec_.codes * spec_.inner);
        auto* to = reinterpret_cast<uint8_t*>(out + done);
        // Of the last axis a run of codes, else a run along the axes behind it.
        const int64_t n = std::min(
            (spec_.inner == 1 ? spec_.codes : spec_.inner) - within % (spec_.inner == 1 ? spec_.codes : spec_.inner),
            count - done);
        CKMAP_RETURN_IF_ERROR(spec_.inner == 1 ? Codes(row, within, n, to)
                                               : Across(row, within / spec_.inner, within % spec_.inner, n, to));
        if (spec_.is_signed) ExtendSigns(n, to);
        done += n;
      }
      return {};
    });
  }

 private:
  static constexpr int64_t kBlock = int64_t{1} << 15;

  unsigned mask() const { return (1U << spec_.bits) - 1; }
  int64_t word_bytes() const { return spec_.word_bits / 8; }

  Result<void> Codes(int64_t row, int64_t first, int64_t count, uint8_t* out) {
    // Whole words: the fields of a word stand in any order.
    const int64_t last = first + count - 1;
    int64_t begin = spec_.FirstBit(first), end = spec_.FirstBit(last) + spec_.bits;
    if (spec_.fields != 0) {
      begin = first / spec_.fields * spec_.word_bits;
      end = (last / spec_.fields + 1) * spec_.word_bits;
    }
    const int64_t row_bytes = spec_.words * word_bytes();
    const int64_t from = begin / 8, bytes = std::min((end + 7) / 8, row_bytes) - from;
    buffer_.assign(static_cast<size_t>(bytes) + 1, std::byte{0});  // a field may end in the last byte
    CKMAP_RETURN_IF_ERROR(
        operand(0).ReadBytes(row * row_bytes + from, std::span(buffer_).first(static_cast<size_t>(bytes))));
    const auto* data = reinterpret_cast<const uint8_t*>(buffer_.data());
    if (spec_.bits == 4 && spec_.fields == 0 && first % 2 == 0) {
      Nibbles(data, count, out);
      return {};
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t bit = spec_.FirstBit(first + i) - from * 8;
      const unsigned pair = data[bit / 8] | static_cast<unsigned>(data[bit / 8 + 1]) << 8;
      out[i] = static_cast<uint8_t>(pair >> (bit % 8) & mask());
    }
    return {};
  }

  // Two of a byte, the low one first: most layouts are this.
  static void Nibbles(const uint8_t* data, int64_t count, uint8_t* out) {
    for (int64_t i = 0; i < count / 2; ++i) {
      out[2 * i] = data[i] & 15;
      out[2 * i + 1] = static_cast<uint8_t>(data[i] >> 4);
    }
    if (count % 2 != 0) out[count - 1] = data[count / 2] & 15;
  }

  // One code of `count` rows of words that lie side by side.
  Result<void> Across(int64_t outer, int64_t code, int64_t first, int64_t count, uint8_t* out) {
    const int64_t bit = spec_.FirstBit(code), word = bit / spec_.word_bits, shift = bit % spec_.word_bits;
    CKMAP_RETURN_IF_ERROR(ReadWords(outer * spec_.words + word, first, count, words_));
    const int64_t held = spec_.word_bits - shift;  // bits of the field in this word
    Extract(words_, first, count, static_cast<int>(shift), 0, out);
    if (held >= spec_.bits) return {};
    CKMAP_RETURN_IF_ERROR(ReadWords(outer * spec_.words + word + 1, first, count, next_));
    Extract(next_, first, count, 0, static_cast<int>(held), out);
    return {};
  }

  // A part of one row of words, which the codes of these words share.
  struct Words {
    int64_t row = -1, begin = 0, end = 0;
    std::vector<std::byte> bytes;
  };

  Result<void> ReadWords(int64_t row, int64_t first, int64_t count, Words& words) {
    if (words.row == row && words.begin <= first && words.end >= first + count) return {};
    words.row = -1;  // nothing, should an error end this
    words.bytes.resize(static_cast<size_t>(count * word_bytes()) + sizeof(uint64_t));
    CKMAP_RETURN_IF_ERROR(
        operand(0).ReadBytes((row * spec_.inner + first) * word_bytes(),
                             std::span(words.bytes).first(static_cast<size_t>(count * word_bytes()))));
    words.row = row;
    words.begin = first;
    words.end = first + count;
    return {};
  }

  // The bits from `shift` on, put in front of those below `low`, which are there.
  void Extract(const Words& words, int64_t first, int64_t count, int shift, int low, uint8_t* out) const {
    const std::byte* data = words.bytes.data() + (first - words.begin) * word_bytes();
    if (spec_.word_bits == 32 && low == 0) {
      for (int64_t i = 0; i < count; ++i) {
        uint32_t word;
        std::memcpy(&word, data + i * 4, sizeof word);
        out[i] = static_cast<uint8_t>(word >> shift & mask());
      }
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      uint64_t word = 0;
      std::memcpy(&word, data + i * word_bytes(), sizeof word);  // what lies behind an element is masked
      if (spec_.word_bits < 64) word &= (uint64_t{1} << spec_.word_bits) - 1;
      const unsigned field = static_cast<unsigned>(word >> shift & mask()) << low;
      out[i] = static_cast<uint8_t>((low == 0 ? 0U : out[i]) | (field & mask()));
    }
  }

  void ExtendSigns(int64_t count, uint8_t* out) const {
    const auto sign = static_cast<uint8_t>(1 << (spec_.bits - 1));
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>((out[i] ^ sign) - sign);
  }

  const UnpackSpec& spec_;
  std::vector<std::byte> buffer_;
  Words words_, next_;
};

class DecodeEvaluator final : public NodeEvaluator {
 public:
  DecodeEvaluator(const DecodeSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : NodeEvaluator(std::move(lowered), gatherer), table_(TableOf(spec.format)), codes_(kBlock) {}

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& /*overflowed*/) override {
    return ForBlocks(wanted, kBlock, sizeof(float), [&](int64_t begin, int64_t count, std::byte* out) -> Result<void> {
      CKMAP_RETURN_IF_ERROR(CheckStop());
      CKMAP_RETURN_IF_ERROR(operand(0).ReadBytes(begin, std::span(codes_).first(static_cast<size_t>(count))));
      for (int64_t i = 0; i < count; ++i) {
        const auto code = static_cast<size_t>(codes_[static_cast<size_t>(i)]);
        if (code >= static_cast<size_t>(table_.codes)) {
          return Wrong(fmt::format("element {} is the code {}, and the format has codes 0 to {}",
                                   FormatCoordinates(begin + i, node().shape), code, table_.codes - 1));
        }
        std::memcpy(out + i * static_cast<int64_t>(sizeof(float)), &table_.values[code], sizeof(float));
      }
      return {};
    });
  }

 private:
  static constexpr int64_t kBlock = int64_t{1} << 14;
  const CodeTable& table_;
  std::vector<std::byte> codes_;
};

class TakeEvaluator final : public NodeEvaluator {
 public:
  TakeEvaluator(const TakeSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : NodeEvaluator(std::move(lowered), gatherer), spec_(spec), element_(DTypeSize(node().dtype)) {}

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& /*overflowed*/) override {
    for (const Segment& segment : wanted) {
      for (int64_t done = 0; done < segment.count;) {
        const int64_t at = segment.begin + done, slice = at / spec_.inner, within = at % spec_.inner;
        const int64_t n = std::min(spec_.inner - within, segment.count - done);
        CKMAP_RETURN_IF_ERROR(Slice(slice, within, n, segment.out + done * element_));
        done += n;
      }
    }
    return {};
  }

 private:
  static constexpr int64_t kKept = int64_t{1} << 22;  // bytes of a table that is read once

  // A part of slice `slice`, counted over all indices.
  Result<void> Slice(int64_t slice, int64_t within, int64_t count, std::byte* out) {
    if (slice % 4096 == 0) CKMAP_RETURN_IF_ERROR(CheckStop());
    const int64_t outer = slice / spec_.indices, at = slice % spec_.indices;
    CKMAP_ASSIGN_OR_RETURN(const Wide* index, operand(1).ReadIntegers(at, 1));
    if (*index < 0 || *index >= spec_.axis_size) {
      return Wrong(fmt::format("index {} of {} is {}, and the axis has {} indices", at, node().names[1],
                               FormatInteger(*index), spec_.axis_size));
    }
    const int64_t begin = ((outer * spec_.axis_size + static_cast<int64_t>(*index)) * spec_.inner + within) * element_;
    const auto bytes = static_cast<size_t>(count * element_);
    if (operand(0).size() * element_ > kKept) return operand(0).ReadBytes(begin, {out, bytes});
    if (table_.empty()) {
      table_.resize(static_cast<size_t>(operand(0).size() * element_));
      CKMAP_RETURN_IF_ERROR(operand(0).ReadBytes(0, table_));
    }
    std::memcpy(out, table_.data() + begin, bytes);
    return {};
  }

  const TakeSpec& spec_;
  const int64_t element_;
  std::vector<std::byte> table_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const UnpackSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<UnpackEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const DecodeSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<DecodeEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const TakeSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<TakeEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
