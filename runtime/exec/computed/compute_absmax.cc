// The greatest magnitudes of blocks.
#include <algorithm>
#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "runtime/exec/computed/node_evaluator.h"
#include "runtime/ops/element_op.h"

namespace ckmap {
namespace {

constexpr uint64_t kMagnitude = ~uint64_t{0} >> 1;
constexpr uint64_t kInfinity = uint64_t{0x7ff} << 52;

class AbsmaxEvaluator final : public RangeEvaluator {
 public:
  AbsmaxEvaluator(const AbsmaxSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec), shape_(node().operands[0].value.shape) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    const int64_t columns = node().shape.empty() ? 1 : node().shape.back();
    for (int64_t done = 0; done < count;) {
      if (const double* known = scales_.Find(begin + done)) {
        out[done++] = *known;
        continue;
      }
      // The blocks side by side that are not known yet are found together: their elements lie in runs.
      const int64_t at = begin + done, most = std::min(columns - at % columns, count - done);
      int64_t n = 1;
      while (n < most && scales_.Find(at + n) == nullptr) ++n;
      CKMAP_RETURN_IF_ERROR(Find(at / columns, at % columns, n));
      for (int64_t i = 0; i < n; ++i) out[done + i] = scales_.Put(at + i, ScaleOf(greatest_[static_cast<size_t>(i)]));
      done += n;
    }
    return {};
  }

  // The magnitudes of `n` blocks of row `row` of the blocks, from `first` on. As bits: those of NaN are the greatest,
  // then those of infinity.
  Result<void> Find(int64_t row, int64_t first, int64_t n) {
    greatest_.assign(static_cast<size_t>(n), 0);
    if (shape_.empty()) return Run(0, 1, 1);
    const size_t leading = shape_.size() - 1;
    // The rows of elements that the blocks span: an odometer over the leading axes.
    Shape from(leading), to(leading);
    for (size_t k = leading; k-- > 0;) {
      const int64_t blocks = node().shape[k];
      from[k] = row % blocks * spec_.block[k];
      to[k] = std::min(from[k] + spec_.block[k], shape_[k]);
      row /= blocks;
    }
    const int64_t block = spec_.block.back(), begin = first * block;
    const int64_t count = std::min(n * block, shape_.back() - begin);
    Shape at = from;
    while (true) {
      int64_t element_row = 0;
      for (size_t k = 0; k < leading; ++k) element_row = element_row * shape_[k] + at[k];
      CKMAP_RETURN_IF_ERROR(Run(element_row * shape_.back() + begin, count, block));
      size_t k = leading;
      while (k > 0 && ++at[k - 1] == to[k - 1]) {
        at[k - 1] = from[k - 1];
        --k;
      }
      if (k == 0) return {};
    }
  }

  // A run of `count` elements from `begin` on, where the first block begins.
  Result<void> Run(int64_t begin, int64_t count, int64_t block) {
    for (int64_t done = 0; done < count; done += kBlock) {
      const int64_t piece = std::min(kBlock, count - done);
      CKMAP_RETURN_IF_ERROR(CheckStop());
      CKMAP_ASSIGN_OR_RETURN(const double* values, operand(0).Read(begin + done, piece));
      for (int64_t i = 0; i < piece;) {
        const int64_t n = std::min(block - (done + i) % block, piece - i);
        uint64_t greatest = greatest_[static_cast<size_t>((done + i) / block)];
        for (int64_t j = 0; j < n; ++j)
          greatest = std::max(greatest, std::bit_cast<uint64_t>(values[i + j]) & kMagnitude);
        if (greatest >= kInfinity) return NotFinite(begin + done + i, {values + i, values + i + n});
        greatest_[static_cast<size_t>((done + i) / block)] = greatest;
        i += n;
      }
    }
    return {};
  }

  Error NotFinite(int64_t begin, std::span<const double> values) const {
    const auto at = std::find_if(values.begin(), values.end(), [](double value) { return !std::isfinite(value); });
    return Wrong(fmt::format("element {} of {} is {}, and there is no scale for it",
                             FormatCoordinates(begin + (at - values.begin()), shape_), node().names[0], *at));
  }

  double ScaleOf(uint64_t greatest) const {
    const double scale = std::max(std::bit_cast<double>(greatest) / spec_.over, spec_.least);
    if (spec_.zero == 0) return scale;
    const uint64_t bits =
        CastElement({DType::kF64, node().dtype, Overflow::kSaturate}, std::bit_cast<uint64_t>(scale)).bits;
    return bits == 0 ? spec_.zero : scale;
  }

  const AbsmaxSpec& spec_;
  const Shape& shape_;
  std::vector<uint64_t> greatest_;
  RowMemo<double> scales_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const AbsmaxSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<AbsmaxEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
