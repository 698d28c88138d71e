// Quantize: elements divided by the scale of their block, and rounded.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "runtime/exec/computed/node_evaluator.h"
#include "runtime/exec/computed/scale_blocks.h"
#include "runtime/ops/element_op.h"

namespace ckmap {
namespace {

// To the nearest number of a float dtype, ties to even.
double RoundTo(DType dtype, double value) {
  if (dtype == DType::kF64) return value;
  if (dtype == DType::kF32) return static_cast<double>(static_cast<float>(value));
  // Of normal numbers it is the same as cutting the significand.
  const bool half = dtype == DType::kF16;
  const double magnitude = std::fabs(value), least = half ? 0x1p-14 : 0x1p-126, most = half ? 0x1p15 : 0x1p127;
  if (magnitude >= least && magnitude < most) {
    const int cut = half ? 42 : 45;
    const auto bits = std::bit_cast<uint64_t>(value);
    const uint64_t rounded = bits + (bits >> cut & 1) + (uint64_t{1} << (cut - 1)) - 1;
    return std::bit_cast<double>(rounded >> cut << cut);
  }
  const uint64_t bits = CastElement({DType::kF64, dtype, Overflow::kInf}, std::bit_cast<uint64_t>(value)).bits;
  return std::bit_cast<double>(CastElement({dtype, DType::kF64, Overflow::kError}, bits).bits);
}

// Numbers that are whole, as integers, which saturate: how many do. A NaN does, and becomes 0.
template <typename T>
int64_t StoreWhole(std::span<const double> values, std::byte* out) {
  constexpr double kLeast = std::numeric_limits<T>::min(), kMost = std::numeric_limits<T>::max();
  int64_t outside = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    const bool inside = value >= kLeast && value <= kMost;
    const double kept = inside ? value : value < kLeast ? kLeast : value > kMost ? kMost : 0;
    const T whole = static_cast<T>(kept);
    std::memcpy(out + i * sizeof(T), &whole, sizeof(T));
    outside += inside ? 0 : 1;
  }
  return outside;
}

class QuantizeEvaluator final : public NodeEvaluator {
 public:
  QuantizeEvaluator(const ScaleSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : NodeEvaluator(std::move(lowered), gatherer),
        spec_(spec),
        strides_(ScaleStrides(spec, node().shape)),
        integers_(IsInteger(node().dtype)),
        reciprocals_(DTypeBits(node().operands[1].dtype) < 16 ? DType::kF32 : node().operands[1].dtype) {}

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& overflowed) override {
    const int64_t element = DTypeSize(node().dtype);
    for (const Segment& segment : wanted) {
      for (int64_t done = 0; done < segment.count; done += kBlock) {
        const int64_t begin = segment.begin + done, count = std::min(kBlock, segment.count - done);
        const std::span<double> values = std::span(block_).first(static_cast<size_t>(count));
        CKMAP_RETURN_IF_ERROR(CheckStop());
        CKMAP_RETURN_IF_ERROR(Compute(begin, values));
        CKMAP_RETURN_IF_ERROR(Store(begin, values, segment.out + done * element, overflowed));
      }
    }
    return {};
  }

 private:
  static constexpr int64_t kBlock = 4096;

  Result<void> Store(int64_t begin, std::span<double> values, std::byte* out, int64_t& overflowed) {
    if (node().overflow == Overflow::kError) return Encode(begin, values, out, overflowed);  // which names an element
    switch (node().dtype) {
      case DType::kI8:
        overflowed += StoreWhole<int8_t>(values, out);
        return {};
      case DType::kU8:
        overflowed += StoreWhole<uint8_t>(values, out);
        return {};
      case DType::kI16:
        overflowed += StoreWhole<int16_t>(values, out);
        return {};
      default:
        return Encode(begin, values, out, overflowed);
    }
  }

  Result<void> Compute(int64_t begin, std::span<double> out) {
    const auto count = static_cast<int64_t>(out.size());
    CKMAP_ASSIGN_OR_RETURN(const double* weights, operand(0).Read(begin, count));
    std::copy_n(weights, count, out.data());
    const Shape& shape = node().shape;
    if (shape.empty()) return Row(0, 0, 1, 1, 0, out.data());
    const int64_t columns = shape.back();
    for (int64_t done = 0; done < count;) {
      const int64_t at = begin + done, column = at % columns, n = std::min(columns - column, count - done);
      CKMAP_RETURN_IF_ERROR(
          Row(ScaleRow(at / columns, spec_, shape, strides_), column, n, spec_.block.back(), at, out.data() + done));
      done += n;
    }
    return {};
  }

  // `n` elements of one row from `column` on; the first is number `begin` of all.
  Result<void> Row(int64_t scale_row, int64_t column, int64_t n, int64_t block, int64_t begin, double* out) {
    const int64_t first = scale_row + column / block, blocks = CountBlocks(column, n, block);
    CKMAP_ASSIGN_OR_RETURN(const double* scales, operand(1).Read(first, blocks));
    const double* zeros = nullptr;
    if (has_operand(2)) {
      CKMAP_ASSIGN_OR_RETURN(zeros, operand(2).Read(first, blocks));
    }
    return ForEachBlock(column, n, block, [&](int64_t b, int64_t from, int64_t to) -> Result<void> {
      CKMAP_RETURN_IF_ERROR(Divide(scales[b], begin + from, {out + from, out + to}));
      if (!integers_) return {};
      return Integers(zeros == nullptr ? 0 : zeros[b], begin + from, {out + from, out + to});
    });
  }

  Result<void> Divide(double scale, int64_t begin, std::span<double> values) const {
    if (scale == 0) {
      for (size_t i = 0; i < values.size(); ++i) {
        if (values[i] == 0) continue;
        return Wrong(fmt::format("element {} is {}, and its scale is 0",
                                 FormatCoordinates(begin + static_cast<int64_t>(i), node().shape), values[i]));
      }
      return {};
    }
    if (spec_.reciprocal != 0) {
      const double factor = RoundTo(reciprocals_, spec_.reciprocal * RoundTo(reciprocals_, 1 / scale));
      for (double& value : values) value = RoundTo(spec_.via, value * factor);
    } else {
      for (double& value : values) value = RoundTo(spec_.via, value / scale);
    }
    return {};
  }

  Result<void> Integers(double zero, int64_t begin, std::span<double> values) const {
    for (size_t i = 0; i < values.size(); ++i) {
      // Under the default rounding mode this is to nearest, ties to even.
      const double value = std::nearbyint(values[i]), sum = value + zero;
      const bool wide =
          DTypeBits(node().dtype) == 64 && std::fabs(sum) > 0x1p53 && std::fabs(sum) < 0x1p64;  // beyond, it saturates
      if (wide && (sum - value != zero || sum - zero != value)) {
        return Wrong(fmt::format("element {} is {}, whose sum with the zero point {} has more digits than f64 can hold",
                                 FormatCoordinates(begin + static_cast<int64_t>(i), node().shape), value, zero));
      }
      values[i] = sum;
    }
    return {};
  }

  const ScaleSpec& spec_;
  std::vector<int64_t> strides_;
  const bool integers_;
  const DType reciprocals_;
  std::vector<double> block_ = std::vector<double>(kBlock);
};

}  // namespace

EvaluatorPtr MakeQuantizeEvaluator(const ScaleSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<QuantizeEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
