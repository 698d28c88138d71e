// Rows that are brought to a length or a distribution, and averages along an axis.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/exec/computed/node_evaluator.h"

namespace ckmap {
namespace {

// What a row becomes: (x - shift) * factor.
struct RowChange {
  double shift = 0;
  double factor = 1;
};

class RowScaleEvaluator final : public RangeEvaluator {
 public:
  RowScaleEvaluator(const RowScaleSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    for (int64_t done = 0; done < count;) {
      const int64_t at = begin + done;
      const int64_t n = std::min(spec_.row - at % spec_.row, count - done);
      CKMAP_ASSIGN_OR_RETURN(const RowChange change, ChangeOf(at / spec_.row));
      CKMAP_ASSIGN_OR_RETURN(const double* values, operand(0).Read(at, n));
      for (int64_t i = 0; i < n; ++i) out[done + i] = (values[i] - change.shift) * change.factor;
      done += n;
    }
    return {};
  }

  Result<RowChange> ChangeOf(int64_t row) {
    if (const RowChange* known = changes_.Find(row)) return *known;
    RowChange change;
    double mean = 0;
    if (spec_.kind == RowScaleSpec::Kind::kStandardize) {
      CKMAP_ASSIGN_OR_RETURN(const double sum, Sum(row, [](double x) { return x; }));
      mean = sum / static_cast<double>(spec_.row);
    }
    CKMAP_ASSIGN_OR_RETURN(const double squares, Sum(row, [mean](double x) { return (x - mean) * (x - mean); }));
    switch (spec_.kind) {
      case RowScaleSpec::Kind::kWeightNorm: {
        CKMAP_ASSIGN_OR_RETURN(const double* length, operand(1).Read(row, 1));
        if (squares == 0)
          return Wrong(fmt::format("row {} of the direction is zero, and has no length to change", row));
        change.factor = *length / std::sqrt(squares);
        break;
      }
      case RowScaleSpec::Kind::kUnitLength: {
        const double length = std::max(std::sqrt(squares), spec_.eps);
        if (length == 0) return Wrong(fmt::format("row {} is zero, and eps too: it has no direction", row));
        change.factor = 1 / length;
        break;
      }
      case RowScaleSpec::Kind::kStandardize: {
        const double variance = squares / static_cast<double>(spec_.row) + spec_.eps;
        if (variance == 0) return Wrong(fmt::format("all elements of row {} are equal, and eps is zero", row));
        change = {mean, 1 / std::sqrt(variance)};
        break;
      }
    }
    return changes_.Put(row, change);
  }

  template <typename Function>
  Result<double> Sum(int64_t row, Function function) {
    double sum = 0;
    for (int64_t done = 0; done < spec_.row; done += kBlock) {
      const int64_t n = std::min(kBlock, spec_.row - done);
      CKMAP_ASSIGN_OR_RETURN(const double* values, operand(0).Read(row * spec_.row + done, n));
      for (int64_t i = 0; i < n; ++i) sum += function(values[i]);
    }
    return sum;
  }

  const RowScaleSpec& spec_;
  RowMemo<RowChange> changes_;
};

class AverageEvaluator final : public RangeEvaluator {
 public:
  AverageEvaluator(const AverageSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    for (int64_t done = 0; done < count;) {
      const int64_t outer = (begin + done) / spec_.inner, inner = (begin + done) % spec_.inner;
      const int64_t n = std::min(spec_.inner - inner, count - done);
      std::fill_n(out + done, n, 0.0);
      for (int64_t k = 0; k < spec_.count; ++k) {
        CKMAP_ASSIGN_OR_RETURN(const double* values,
                               operand(0).Read((outer * spec_.count + k) * spec_.inner + inner, n));
        for (int64_t i = 0; i < n; ++i) out[done + i] += values[i];
      }
      for (int64_t i = 0; i < n; ++i) out[done + i] /= static_cast<double>(spec_.count);
      done += n;
    }
    return {};
  }

  const AverageSpec& spec_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const RowScaleSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<RowScaleEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const AverageSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<AverageEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
