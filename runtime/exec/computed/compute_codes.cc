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
        const int64_t row = (begin + done) / spec_.row_codes, first = (begin + done) % spec_.row_codes;
        const int64_t n = std::min(spec_.row_codes - first, count - done);
        CKMAP_RETURN_IF_ERROR(Row(row, first, n, reinterpret_cast<uint8_t*>(out + done)));
        done += n;
      }
      return {};
    });
  }

 private:
  static constexpr int64_t kBlock = int64_t{1} << 15;

  // Where a field begins in its row, in bits.
  int64_t BitOf(int64_t code) const {
    if (spec_.fields == 0) return code * spec_.bits;
    const int64_t field = code % spec_.fields;
    return code / spec_.fields * spec_.word_bits + (spec_.high_first ? spec_.fields - 1 - field : field) * spec_.bits;
  }

  Result<void> Row(int64_t row, int64_t first, int64_t count, uint8_t* out) {
    // Whole words: the fields of a word stand in any order.
    const int64_t word = spec_.fields == 0 ? 8 : spec_.word_bits;
    const int64_t last = first + count - 1;
    int64_t begin = BitOf(first), end = BitOf(last) + spec_.bits;
    if (spec_.fields != 0) {
      begin = first / spec_.fields * word;
      end = (last / spec_.fields + 1) * word;
    }
    const int64_t from = begin / 8, bytes = std::min((end + 7) / 8, spec_.row_bytes) - from;
    buffer_.assign(static_cast<size_t>(bytes) + 1, std::byte{0});  // a field may end in the last byte
    CKMAP_RETURN_IF_ERROR(
        operand(0).ReadBytes(row * spec_.row_bytes + from, std::span(buffer_).first(static_cast<size_t>(bytes))));
    const auto* data = reinterpret_cast<const uint8_t*>(buffer_.data());
    if (spec_.bits == 4 && spec_.fields == 0 && first % 2 == 0) {
      Nibbles(data, count, out);
    } else {
      const auto mask = static_cast<unsigned>((1 << spec_.bits) - 1);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t bit = BitOf(first + i) - from * 8;
        const unsigned pair = data[bit / 8] | static_cast<unsigned>(data[bit / 8 + 1]) << 8;
        out[i] = static_cast<uint8_t>(pair >> (bit % 8) & mask);
      }
    }
    if (spec_.is_signed) ExtendSigns(count, out);
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

  void ExtendSigns(int64_t count, uint8_t* out) const {
    const auto sign = static_cast<uint8_t>(1 << (spec_.bits - 1));
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>((out[i] ^ sign) - sign);
  }

  const UnpackSpec& spec_;
  std::vector<std::byte> buffer_;
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
  static constexpr int64_t kKept = int64_t{1} << 20;  // bytes of a table that is read once

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
