// Dequantize and quantize: blocks of elements that share a scale.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/exec/computed/node_evaluator.h"

namespace ckmap {
namespace {

// The integers in an element that holds several, lowest bits first.
double Unpack(double element, int64_t index, const ScaleSpec& spec) {
  const auto bits = static_cast<uint64_t>(static_cast<int64_t>(element));
  const uint64_t value = (bits >> (4 * (index % spec.pack))) & 15;
  return static_cast<double>(spec.pack_signed && value >= 8 ? static_cast<int64_t>(value) - 16
                                                            : static_cast<int64_t>(value));
}

class ScaleEvaluator final : public RangeEvaluator {
 public:
  ScaleEvaluator(const ScaleSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec) {
    int64_t stride = 1;
    strides_.resize(spec.block.size());
    for (size_t k = spec.block.size(); k-- > 0;) {
      strides_[k] = stride;
      stride *= (node().shape[k] + spec.block[k] - 1) / spec.block[k];
    }
  }

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    CKMAP_RETURN_IF_ERROR(ReadWeights(begin, count, out));
    const Shape& shape = node().shape;
    if (shape.empty()) return Apply(0, 0, 1, 1, out);
    const int64_t columns = shape.back();
    for (int64_t done = 0; done < count;) {
      const int64_t column = (begin + done) % columns;
      const int64_t n = std::min(columns - column, count - done);
      CKMAP_RETURN_IF_ERROR(Apply(ScaleRow((begin + done) / columns), column, n, spec_.block.back(), out + done));
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

  // Where the scales of a row of the weight begin.
  int64_t ScaleRow(int64_t row) const {
    int64_t at = 0;
    for (size_t k = spec_.block.size() - 1; k-- > 0;) {
      at += row % node().shape[k] / spec_.block[k] * strides_[k];
      row /= node().shape[k];
    }
    return at;
  }

  // `n` elements of one row from `column` on.
  Result<void> Apply(int64_t scale_row, int64_t column, int64_t n, int64_t block, double* out) {
    const int64_t first = column / block;
    const int64_t blocks = (column + n - 1) / block - first + 1;
    CKMAP_ASSIGN_OR_RETURN(const double* scales, operand(1).Read(scale_row + first, blocks));
    const double* zeros = nullptr;
    if (has_operand(2)) {
      CKMAP_ASSIGN_OR_RETURN(zeros, operand(2).Read(scale_row + first, blocks));
    }
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t end = std::min(n, (first + b + 1) * block - column);
      const double zero = zeros == nullptr ? 0 : zeros[b];
      for (int64_t i = std::max<int64_t>(0, (first + b) * block - column); i < end; ++i) {
        if (!spec_.quantize) {
          out[i] = Dequantized(out[i], scales[b], zero);
          continue;
        }
        if (!Quantized(scales[b], zero, out[i])) {
          return Wrong(fmt::format(
              "an element in row {} is {}, whose sum with the zero point {} has more digits than f64 can hold",
              scale_row, out[i], zero));
        }
      }
    }
    return {};
  }

  double Dequantized(double value, double scale, double zero) const {
    const double product = (value - zero) * scale;
    return node().dtype == DType::kF64 ? product : static_cast<double>(static_cast<float>(product));
  }

  // False where the integer would not be exact; `value` is then the rounded quotient.
  bool Quantized(double scale, double zero, double& value) const {
    value /= scale;
    if (!IsInteger(node().dtype)) return true;
    // Under the default rounding mode this is to nearest, ties to even.
    value = std::nearbyint(value);
    const double sum = value + zero;
    const bool wide =
        DTypeBits(node().dtype) == 64 && std::fabs(sum) > 0x1p53 && std::fabs(sum) < 0x1p64;  // beyond, it saturates
    if (wide && (sum - value != zero || sum - zero != value)) return false;
    value = sum;
    return true;
  }

  const ScaleSpec& spec_;
  std::vector<int64_t> strides_;  // of the scales, one for each axis of the weight
};

}  // namespace

EvaluatorPtr MakeEvaluator(const ScaleSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<ScaleEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
