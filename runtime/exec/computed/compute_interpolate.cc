// Resizing of one or two axes, as torch.nn.functional.interpolate defines it.
#include <algorithm>
#include <cmath>

#include "runtime/exec/computed/node_evaluator.h"

namespace ckmap {
namespace {

// What one output index is made of: weights for the input indices first, first + 1, …, which are
// inside the axis.
struct Taps {
  int64_t first = 0;
  std::vector<double> weights;

  void Add(int64_t index, int64_t size, double weight) {
    const int64_t inside = std::clamp<int64_t>(index, 0, size - 1);
    if (weights.empty()) first = inside;
    weights.resize(std::max(weights.size(), static_cast<size_t>(inside - first) + 1), 0);
    weights[static_cast<size_t>(inside - first)] += weight;
  }
};

// The cubic convolution kernel at distance |x|.
double Cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

class Axis {
 public:
  Axis(const InterpolateSpec& spec, int64_t from, int64_t to) : spec_(spec), from_(from), to_(to) {}

  Taps TapsOf(int64_t index) const {
    using Mode = InterpolateSpec::Mode;
    Taps taps;
    if (spec_.mode == Mode::kNearest) {
      taps.Add(index * from_ / to_, from_, 1);
    } else if (spec_.mode == Mode::kNearestExact) {
      taps.Add((2 * index + 1) * from_ / (2 * to_), from_, 1);
    } else if (spec_.antialias) {
      Smooth(index, taps);
    } else if (spec_.mode == Mode::kLinear) {
      const double at = std::max(Place(index), 0.0);
      const double low = std::floor(at);
      taps.Add(static_cast<int64_t>(low), from_, 1 - (at - low));
      taps.Add(static_cast<int64_t>(low) + 1, from_, at - low);
    } else {
      const double at = Place(index);
      const double low = std::floor(at);
      for (int k = -1; k <= 2; ++k) taps.Add(static_cast<int64_t>(low) + k, from_, Cubic(at - low - k, -0.75));
    }
    return taps;
  }

 private:
  // Input steps for one output step.
  double Scale() const {
    if (!spec_.align_corners) return static_cast<double>(from_) / static_cast<double>(to_);
    return to_ > 1 ? static_cast<double>(from_ - 1) / static_cast<double>(to_ - 1) : 0;
  }

  double Place(int64_t index) const {
    const auto at = static_cast<double>(index);
    return spec_.align_corners ? at * Scale() : (at + 0.5) * Scale() - 0.5;
  }

  // With antialias the kernel is as wide as the output's steps where those are the larger ones.
  void Smooth(int64_t index, Taps& taps) const {
    const double scale = Scale(), wide = std::max(scale, 1.0);
    const bool cubic = spec_.mode == InterpolateSpec::Mode::kCubic;
    const double support = (cubic ? 2 : 1) * wide;
    const double center = scale * (static_cast<double>(index) + 0.5);
    const auto first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const auto end = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), from_);
    double sum = 0;
    for (int64_t i = first; i < end; ++i) {
      const double x = (static_cast<double>(i) - center + 0.5) / wide;
      const double weight = cubic ? Cubic(x, -0.5) : std::max(0.0, 1 - std::abs(x));
      taps.Add(i, from_, weight);
      sum += weight;
    }
    for (double& weight : taps.weights) weight /= sum == 0 ? 1 : sum;
  }

  const InterpolateSpec& spec_;
  int64_t from_, to_;
};

class InterpolateEvaluator final : public RangeEvaluator {
 public:
  InterpolateEvaluator(const InterpolateSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer) {
    width_ = spec.from.back();
    height_ = spec.from.size() == 2 ? spec.from.front() : 1;
    const int64_t to_height = spec.from.size() == 2 ? spec.to.front() : 1;
    const Axis along(spec, width_, spec.to.back()), down(spec, height_, to_height);
    for (int64_t i = 0; i < spec.to.back(); ++i) columns_.push_back(along.TapsOf(i));
    for (int64_t i = 0; i < to_height; ++i) {
      rows_.push_back(spec.from.size() == 2 ? down.TapsOf(i) : Taps{0, {1}});
    }
  }

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    const auto to_width = static_cast<int64_t>(columns_.size()), to_height = static_cast<int64_t>(rows_.size());
    for (int64_t done = 0; done < count;) {
      const int64_t x = (begin + done) % to_width, line = (begin + done) / to_width;
      const int64_t n = std::min(to_width - x, count - done);
      const Taps& row = rows_[static_cast<size_t>(line % to_height)];
      std::fill_n(out + done, n, 0.0);
      for (size_t k = 0; k < row.weights.size(); ++k) {
        const int64_t from = (line / to_height * height_ + row.first + static_cast<int64_t>(k)) * width_;
        CKMAP_ASSIGN_OR_RETURN(const double* values, operand(0).Read(from, width_));
        for (int64_t i = 0; i < n; ++i) {
          out[done + i] += row.weights[k] * Along(columns_[static_cast<size_t>(x + i)], values);
        }
      }
      done += n;
    }
    return {};
  }

  static double Along(const Taps& taps, const double* values) {
    double sum = 0;
    for (size_t k = 0; k < taps.weights.size(); ++k)
      sum += taps.weights[k] * values[taps.first + static_cast<int64_t>(k)];
    return sum;
  }

  int64_t width_ = 1, height_ = 1;
  std::vector<Taps> columns_, rows_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const InterpolateSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<InterpolateEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
