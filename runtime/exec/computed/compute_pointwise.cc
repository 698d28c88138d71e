// Nodes that make each element from one element of each operand, or from none.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/base/random.h"
#include "runtime/exec/computed/node_evaluator.h"

namespace ckmap {
namespace {

class PointwiseEvaluator final : public RangeEvaluator {
 public:
  PointwiseEvaluator(const PointwiseSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec), values_(kBlock) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    using Kind = PointwiseSpec::Kind;
    CKMAP_RETURN_IF_ERROR(Spread(0, begin, count, out));
    for (size_t k = 1; has_operand(k); ++k) {
      CKMAP_RETURN_IF_ERROR(Spread(k, begin, count, values_.data()));
      for (int64_t i = 0; i < count; ++i) {
        const double value = values_[static_cast<size_t>(i)];
        switch (spec_.kind) {
          case Kind::kSum:
          case Kind::kMean:
            out[i] += value;
            break;
          case Kind::kSubtract:
            out[i] -= value;
            break;
          case Kind::kMultiply:
            out[i] *= value;
            break;
        }
      }
    }
    if (spec_.kind != Kind::kMean) return {};
    for (int64_t i = 0; i < count; ++i) out[i] /= static_cast<double>(node().operands.size());
    return {};
  }

  // The elements of operand `k` for a range of the result: axes of size 1 are repeated.
  Result<void> Spread(size_t k, int64_t begin, int64_t count, double* out) {
    const Shape& shape = node().shape;
    const Shape& from = node().operands[k].value.shape;
    if (from == shape) {
      CKMAP_ASSIGN_OR_RETURN(const double* values, operand(k).Read(begin, count));
      std::copy_n(values, count, out);
      return {};
    }
    const int64_t columns = shape.back();
    for (int64_t done = 0; done < count;) {
      const int64_t column = (begin + done) % columns;
      const int64_t n = std::min(columns - column, count - done);
      const int64_t row = RowOf((begin + done) / columns, from);
      if (from.back() == columns) {
        CKMAP_ASSIGN_OR_RETURN(const double* values, operand(k).Read(row * columns + column, n));
        std::copy_n(values, n, out + done);
      } else {
        CKMAP_ASSIGN_OR_RETURN(const double* value, operand(k).Read(row, 1));
        std::fill_n(out + done, n, *value);
      }
      done += n;
    }
    return {};
  }

  // The row of an operand that serves row `row` of the result.
  int64_t RowOf(int64_t row, const Shape& from) const {
    int64_t at = 0, stride = 1;
    for (size_t axis = from.size() - 1; axis-- > 0;) {
      if (from[axis] != 1) at += row % node().shape[axis] * stride;
      stride *= from[axis];
      row /= node().shape[axis];
    }
    return at;
  }

  const PointwiseSpec& spec_;
  std::vector<double> values_;
};

class MapEvaluator final : public RangeEvaluator {
 public:
  MapEvaluator(const MapSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    CKMAP_ASSIGN_OR_RETURN(const double* values, operand(0).Read(begin, count));
    for (int64_t i = 0; i < count; ++i) {
      out[i] = spec_.kind == MapSpec::Kind::kExp ? std::exp(values[i]) : std::log(values[i]);
      if (std::isfinite(out[i]) || !std::isfinite(values[i])) continue;
      return Wrong(
          fmt::format("element {} is {}, {}", FormatCoordinates(begin + i, node().shape), values[i],
                      spec_.kind == MapSpec::Kind::kExp ? "and its exponential is beyond f64"
                                                        : "which has no logarithm"));
    }
    return {};
  }

  const MapSpec& spec_;
};

class NormalEvaluator final : public RangeEvaluator {
 public:
  NormalEvaluator(const NormalSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer),
        spec_(spec),
        random_(spec.seed, spec.stream) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = spec_.mean + spec_.deviation * random_.Normal(static_cast<uint64_t>(begin + i));
    }
    return {};
  }

  const NormalSpec& spec_;
  RandomStream random_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const PointwiseSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<PointwiseEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const MapSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<MapEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const NormalSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<NormalEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
