// Dequantize: blocks of elements that share a scale.
#include <algorithm>

#include "runtime/exec/computed/node_evaluator.h"
#include "runtime/exec/computed/scale_blocks.h"

namespace ckmap {
namespace {

// The integers in an element that holds several, lowest bits first.
double Unpack(double element, int64_t index, const ScaleSpec& spec) {
  const auto bits = static_cast<uint64_t>(static_cast<int64_t>(element));
  const uint64_t value = (bits >> (4 * (index % spec.pack))) & 15;
  return static_cast<double>(spec.pack_signed && value >= 8 ? static_cast<int64_t>(value) - 16
                                                            : static_cast<int64_t>(value));
}

// The bits of the significands of all values, or more than any float has.
int Significand(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 24;
    case DType::kF16:
      return 11;
    case DType::kBF16:
    case DType::kI8:
    case DType::kU8:
      return 8;
    case DType::kF8E4M3:
    case DType::kF8E4M3Fnuz:
      return 4;
    case DType::kF8E5M2:
    case DType::kF8E5M2Fnuz:
      return 3;
    default:
      return 64;
  }
}

// Dequantizes in f32 what needs no more: the product of a short significand and an f32 is exact in f64, so that the one
// rounding to f32 that the formula asks for is the one of an f32 product.
class FloatScaleEvaluator final : public NodeEvaluator {
 public:
  static bool Serves(const ScaleSpec& spec, const ComputedNode& node) {
    return spec.pack == 1 && node.operands.size() == 2 && !node.shape.empty() && node.dtype != DType::kF64 &&
           Significand(node.operands[0].dtype) <= 11 && Significand(node.operands[1].dtype) <= 24;
  }

  FloatScaleEvaluator(const ScaleSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : NodeEvaluator(std::move(lowered), gatherer), spec_(spec), strides_(ScaleStrides(spec, node().shape)) {}

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& overflowed) override {
    const int64_t columns = node().shape.back();
    const int64_t element = DTypeSize(node().dtype);
    for (const Segment& segment : wanted) {
      for (int64_t done = 0; done < segment.count;) {
        const int64_t begin = segment.begin + done;
        const int64_t column = begin % columns;
        const int64_t count = std::min({kBlock, columns - column, segment.count - done});
        CKMAP_RETURN_IF_ERROR(CheckStop());
        CKMAP_RETURN_IF_ERROR(Scale(begin, begin / columns, column, count));
        CKMAP_RETURN_IF_ERROR(EncodeFloats(begin, std::span(block_).first(static_cast<size_t>(count)),
                                           segment.out + done * element, overflowed));
        done += count;
      }
    }
    return {};
  }

 private:
  static constexpr int64_t kBlock = 4096;

  Result<void> Scale(int64_t begin, int64_t row, int64_t column, int64_t count) {
    const int64_t block = spec_.block.back();
    const int64_t scale_row = ScaleRow(row, spec_, node().shape, strides_);
    CKMAP_ASSIGN_OR_RETURN(const float* weights, operand(0).ReadFloats(begin, count));
    CKMAP_ASSIGN_OR_RETURN(const float* scales,
                           operand(1).ReadFloats(scale_row + column / block, CountBlocks(column, count, block)));
    float* const out = block_.data();
    return ForEachBlock(column, count, block, [=](int64_t b, int64_t from, int64_t to) -> Result<void> {
      for (int64_t i = from; i < to; ++i) out[i] = weights[i] * scales[b];
      return {};
    });
  }

  const ScaleSpec& spec_;
  std::vector<int64_t> strides_;
  std::vector<float> block_ = std::vector<float>(kBlock);
};

class ScaleEvaluator final : public RangeEvaluator {
 public:
  ScaleEvaluator(const ScaleSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec), strides_(ScaleStrides(spec, node().shape)) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    CKMAP_RETURN_IF_ERROR(ReadWeights(begin, count, out));
    const Shape& shape = node().shape;
    if (shape.empty()) return Apply(0, 0, 1, 1, out);
    const int64_t columns = shape.back();
    for (int64_t done = 0; done < count;) {
      const int64_t column = (begin + done) % columns;
      const int64_t n = std::min(columns - column, count - done);
      CKMAP_RETURN_IF_ERROR(
          Apply(ScaleRow((begin + done) / columns, spec_, shape, strides_), column, n, spec_.block.back(), out + done));
      done += n;
    }
    return {};
  }

  Result<void> ReadWeights(int64_t begin, int64_t count, double* out) {
    if (spec_.pack == 1) {
      CKMAP_ASSIGN_OR_RETURN(const double* weights, operand(0).Read(begin, count));
      std::copy_n(weights, count, out);
      return {};
    }
    const int64_t first = begin / spec_.pack;
    CKMAP_ASSIGN_OR_RETURN(const double* packed, operand(0).Read(first, (begin + count - 1) / spec_.pack - first + 1));
    for (int64_t i = 0; i < count; ++i) out[i] = Unpack(packed[(begin + i) / spec_.pack - first], begin + i, spec_);
    return {};
  }

  // `n` elements of one row from `column` on.
  Result<void> Apply(int64_t scale_row, int64_t column, int64_t n, int64_t block, double* out) {
    const int64_t first = scale_row + column / block;
    const int64_t blocks = CountBlocks(column, n, block);
    CKMAP_ASSIGN_OR_RETURN(const double* scales, operand(1).Read(first, blocks));
    const double* zeros = nullptr;
    if (has_operand(2)) {
      CKMAP_ASSIGN_OR_RETURN(zeros, operand(2).Read(first, blocks));
    }
    return ForEachBlock(column, n, block, [&](int64_t b, int64_t from, int64_t to) -> Result<void> {
      const double zero = zeros == nullptr ? 0 : zeros[b];
      for (int64_t i = from; i < to; ++i) out[i] = Dequantized(out[i], scales[b], zero);
      return {};
    });
  }

  double Dequantized(double value, double scale, double zero) const {
    const double product = (value - zero) * scale;
    return node().dtype == DType::kF64 ? product : static_cast<double>(static_cast<float>(product));
  }

  const ScaleSpec& spec_;
  std::vector<int64_t> strides_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const ScaleSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  if (spec.quantize) return MakeQuantizeEvaluator(spec, std::move(node), gatherer);
  if (FloatScaleEvaluator::Serves(spec, *node->node))
    return std::make_unique<FloatScaleEvaluator>(spec, std::move(node), gatherer);
  return std::make_unique<ScaleEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
