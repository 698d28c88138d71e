// Nodes that make each element from one element of each operand, or from none.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "runtime/base/random.h"
#include "runtime/exec/computed/node_evaluator.h"

namespace ckmap {
namespace {

// The row of operand `from` that serves row `row` of the result.
int64_t RowOf(int64_t row, const Shape& from, const Shape& shape) {
  int64_t at = 0, stride = 1;
  for (size_t axis = from.size() - 1; axis-- > 0;) {
    if (from[axis] != 1) at += row % shape[axis] * stride;
    stride *= from[axis];
    row /= shape[axis];
  }
  return at;
}

// The elements of an operand of shape `from` for a range of the result: axes of size 1 are repeated. `read(begin,
// count)` gives elements of the operand.
template <typename T, typename Read>
Result<void> Spread(const Shape& from, const Shape& shape, int64_t begin, int64_t count, T* out, Read read) {
  if (from == shape) {
    CKMAP_ASSIGN_OR_RETURN(const T* values, read(begin, count));
    std::copy_n(values, count, out);
    return {};
  }
  const int64_t columns = shape.back();
  for (int64_t done = 0; done < count;) {
    const int64_t column = (begin + done) % columns;
    const int64_t n = std::min(columns - column, count - done);
    const int64_t row = RowOf((begin + done) / columns, from, shape);
    if (from.back() == columns) {
      CKMAP_ASSIGN_OR_RETURN(const T* values, read(row * columns + column, n));
      std::copy_n(values, n, out + done);
    } else {
      CKMAP_ASSIGN_OR_RETURN(const T* value, read(row, 1));
      std::fill_n(out + done, n, *value);
    }
    done += n;
  }
  return {};
}

class PointwiseEvaluator final : public RangeEvaluator {
 public:
  PointwiseEvaluator(const PointwiseSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec), values_(kBlock) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    using Kind = PointwiseSpec::Kind;
    CKMAP_RETURN_IF_ERROR(Operand(0, begin, count, out));
    for (size_t k = 1; has_operand(k); ++k) {
      CKMAP_RETURN_IF_ERROR(Operand(k, begin, count, values_.data()));
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
          case Kind::kDivide:
            if (value == 0) {
              return Wrong(fmt::format("element {} is divided by zero", FormatCoordinates(begin + i, node().shape)));
            }
            out[i] /= value;
            break;
        }
      }
    }
    if (spec_.kind != Kind::kMean) return {};
    for (int64_t i = 0; i < count; ++i) out[i] /= static_cast<double>(node().operands.size());
    return {};
  }

  Result<void> Operand(size_t k, int64_t begin, int64_t count, double* out) {
    return Spread(node().operands[k].value.shape, node().shape, begin, count, out,
                  [&](int64_t at, int64_t n) { return operand(k).Read(at, n); });
  }

  const PointwiseSpec& spec_;
  std::vector<double> values_;
};

// The quotient as f64. `to_odd`: rounded towards zero with the last bit set where that is not exact, so that rounding
// it once more, to a format with at least two bits less, gives what rounding the quotient itself gives. Else to
// nearest.
double Quotient(Wide dividend, int64_t divisor, bool to_odd) {
  __extension__ using Unsigned = unsigned __int128;
  const auto bits = [](Unsigned value) {
    const auto high = static_cast<uint64_t>(value >> 64), low = static_cast<uint64_t>(value);
    return high != 0 ? 128 - std::countl_zero(high) : 64 - std::countl_zero(low);
  };
  Unsigned magnitude = dividend < 0 ? -static_cast<Unsigned>(dividend) : static_cast<Unsigned>(dividend);
  if (magnitude == 0) return 0;
  int exponent = 0;
  if (divisor != 1) {  // as many bits of the quotient as there is room for
    exponent = bits(magnitude) - 127;
    magnitude <<= -exponent;
    const bool rest = magnitude % static_cast<Unsigned>(divisor) != 0;
    magnitude /= static_cast<Unsigned>(divisor);
    if (rest) magnitude |= 1;  // far below the last bit of a double
  }
  constexpr int kDigits = std::numeric_limits<double>::digits;
  if (const int lost = bits(magnitude) - kDigits; to_odd && lost > 0) {
    const bool inexact = (magnitude & ((Unsigned{1} << lost) - 1)) != 0;
    magnitude = magnitude >> lost | (inexact ? 1 : 0);
    exponent += lost;
  }
  const double value = std::ldexp(static_cast<double>(magnitude), exponent);
  return dividend < 0 ? -value : value;
}

// Of integers alone: in 128 bits, which no sum leaves, and rounded once if the result is a float.
class IntegerPointwiseEvaluator final : public NodeEvaluator {
 public:
  IntegerPointwiseEvaluator(const PointwiseSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : NodeEvaluator(std::move(lowered), gatherer), spec_(spec), results_(kBlock), values_(kBlock), reals_(kBlock) {}

  Result<void> Evaluate(std::span<const Segment> wanted, int64_t& overflowed) override {
    const int64_t element = DTypeSize(node().dtype);
    for (const Segment& segment : wanted) {
      for (int64_t done = 0; done < segment.count; done += kBlock) {
        const int64_t begin = segment.begin + done, count = std::min(kBlock, segment.count - done);
        CKMAP_RETURN_IF_ERROR(CheckStop());
        CKMAP_RETURN_IF_ERROR(Compute(begin, count));
        CKMAP_RETURN_IF_ERROR(Write(begin, count, segment.out + done * element, overflowed));
      }
    }
    return {};
  }

 private:
  static constexpr int64_t kBlock = RangeEvaluator::kBlock;
  static constexpr Wide kBeyond = Wide{1} << 126;  // what products of this size and more are

  Result<void> Compute(int64_t begin, int64_t count) {
    using Kind = PointwiseSpec::Kind;
    CKMAP_RETURN_IF_ERROR(Operand(0, begin, count, results_));
    for (size_t k = 1; has_operand(k); ++k) {
      CKMAP_RETURN_IF_ERROR(Operand(k, begin, count, values_));
      for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        switch (spec_.kind) {
          case Kind::kSum:
          case Kind::kMean:
            results_[i] += values_[i];
            break;
          case Kind::kSubtract:
            results_[i] -= values_[i];
            break;
          case Kind::kMultiply:
            results_[i] = Product(results_[i], values_[i]);
            break;
          case Kind::kDivide:  // is computed in f64
            break;
        }
      }
    }
    return {};
  }

  static Wide Product(Wide a, Wide b) {
    Wide product = 0;
    if (!__builtin_mul_overflow(a, b, &product) && product < kBeyond && product > -kBeyond) return product;
    return (a < 0) == (b < 0) ? kBeyond : -kBeyond;
  }

  Result<void> Write(int64_t begin, int64_t count, std::byte* out, int64_t& overflowed) {
    const auto n = static_cast<size_t>(count);
    if (IsInteger(node().dtype)) return EncodeIntegers(begin, std::span(results_).first(n), out, overflowed);
    const int64_t divisor = spec_.kind == PointwiseSpec::Kind::kMean ? static_cast<int64_t>(node().operands.size()) : 1;
    for (size_t i = 0; i < n; ++i) {
      if (results_[i] >= kBeyond || results_[i] <= -kBeyond) {
        return Wrong(fmt::format("element {} is a product of integers beyond 2^126: cast them to a float first",
                                 FormatCoordinates(begin + static_cast<int64_t>(i), node().shape)));
      }
      reals_[i] = Quotient(results_[i], divisor, node().dtype != DType::kF64);
    }
    return Encode(begin, std::span(reals_).first(n), out, overflowed);
  }

  Result<void> Operand(size_t k, int64_t begin, int64_t count, std::vector<Wide>& out) {
    return Spread(node().operands[k].value.shape, node().shape, begin, count, out.data(),
                  [&](int64_t at, int64_t n) { return operand(k).ReadIntegers(at, n); });
  }

  const PointwiseSpec& spec_;
  std::vector<Wide> results_, values_;
  std::vector<double> reals_;
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
      return Wrong(fmt::format(
          "element {} is {}, {}", FormatCoordinates(begin + i, node().shape), values[i],
          spec_.kind == MapSpec::Kind::kExp ? "and its exponential is beyond f64" : "which has no logarithm"));
    }
    return {};
  }

  const MapSpec& spec_;
};

class NormalEvaluator final : public RangeEvaluator {
 public:
  NormalEvaluator(const NormalSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec), random_(spec.seed, spec.stream) {}

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

class SequenceEvaluator final : public RangeEvaluator {
 public:
  SequenceEvaluator(const SequenceSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    for (int64_t i = 0; i < count; ++i) out[i] = Element(begin + i);
    return {};
  }

  double Element(int64_t index) const {
    const int64_t column = index % spec_.columns;
    switch (spec_.kind) {
      case SequenceSpec::Kind::kCount:
        return spec_.first + static_cast<double>(index);
      case SequenceSpec::Kind::kLowerTriangle:
        return column <= index / spec_.columns % spec_.rows ? 1 : 0;
      case SequenceSpec::Kind::kInverseFrequency:
        break;
    }
    return std::pow(spec_.theta, -static_cast<double>(column) / static_cast<double>(spec_.columns));
  }

  const SequenceSpec& spec_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const PointwiseSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  const std::vector<PiecedTensor>& operands = node->node->operands;
  if (spec.kind != PointwiseSpec::Kind::kDivide &&
      std::all_of(operands.begin(), operands.end(),
                  [](const PiecedTensor& operand) { return IsInteger(operand.dtype); })) {
    return std::make_unique<IntegerPointwiseEvaluator>(spec, std::move(node), gatherer);
  }
  return std::make_unique<PointwiseEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const MapSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<MapEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const NormalSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<NormalEvaluator>(spec, std::move(node), gatherer);
}

EvaluatorPtr MakeEvaluator(const SequenceSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<SequenceEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
