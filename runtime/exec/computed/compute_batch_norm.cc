// A batch norm's numbers, folded into the weight and bias of the layer in front of it.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/exec/computed/node_evaluator.h"

namespace ckmap {
namespace {

enum Operand : size_t { kGamma, kBeta, kMean, kVariance, kOther };

class BatchNormEvaluator final : public RangeEvaluator {
 public:
  BatchNormEvaluator(const BatchNormSpec& spec, LoweredNodePtr lowered, Gatherer& gatherer)
      : RangeEvaluator(std::move(lowered), gatherer), spec_(spec) {}

 private:
  Result<void> Compute(int64_t begin, int64_t count, double* out) override {
    switch (spec_.gives) {
      case BatchNormSpec::Gives::kWeight:
        return Weight(begin, count, out);
      case BatchNormSpec::Gives::kIdentity:
        return Identity(begin, count, out);
      case BatchNormSpec::Gives::kBias:
        return Bias(begin, count, out);
    }
    return {};
  }

  Result<void> Weight(int64_t begin, int64_t count, double* out) {
    for (int64_t done = 0; done < count;) {
      const int64_t at = begin + done;
      const int64_t n = std::min(spec_.inner - at % spec_.inner, count - done);
      CKMAP_ASSIGN_OR_RETURN(const double factor, Factor(at / spec_.inner % spec_.channels));
      CKMAP_ASSIGN_OR_RETURN(const double* values, operand(kOther).Read(at, n));
      for (int64_t i = 0; i < n; ++i) out[done + i] = values[i] * factor;
      done += n;
    }
    return {};
  }

  Result<void> Identity(int64_t begin, int64_t count, double* out) {
    const int64_t planes = spec_.inner / spec_.plane;  // channels of a group
    for (int64_t i = 0; i < count; ++i) {
      const int64_t channel = (begin + i) / spec_.inner, within = (begin + i) % spec_.inner;
      const bool one = within / spec_.plane == channel % planes && within % spec_.plane == spec_.plane / 2;
      out[i] = 0;
      if (!one) continue;
      CKMAP_ASSIGN_OR_RETURN(out[i], Factor(channel));
    }
    return {};
  }

  Result<void> Bias(int64_t begin, int64_t count, double* out) {
    for (int64_t i = 0; i < count; ++i) {
      CKMAP_ASSIGN_OR_RETURN(const double factor, Factor(begin + i));
      CKMAP_ASSIGN_OR_RETURN(const double* beta, operand(kBeta).Read(begin + i, 1));
      CKMAP_ASSIGN_OR_RETURN(const double* mean, operand(kMean).Read(begin + i, 1));
      double bias = 0;
      if (has_operand(kOther)) {
        CKMAP_ASSIGN_OR_RETURN(const double* old, operand(kOther).Read(begin + i, 1));
        bias = *old;
      }
      out[i] = *beta + (bias - *mean) * factor;
    }
    return {};
  }

  Result<double> Factor(int64_t channel) {
    CKMAP_ASSIGN_OR_RETURN(const double* gamma, operand(kGamma).Read(channel, 1));
    CKMAP_ASSIGN_OR_RETURN(const double* variance, operand(kVariance).Read(channel, 1));
    if (*variance + spec_.eps <= 0) {
      return Wrong(fmt::format("the variance of channel {} is {}: with eps it must be above zero", channel, *variance));
    }
    return *gamma / std::sqrt(*variance + spec_.eps);
  }

  const BatchNormSpec& spec_;
};

}  // namespace

EvaluatorPtr MakeEvaluator(const BatchNormSpec& spec, LoweredNodePtr node, Gatherer& gatherer) {
  return std::make_unique<BatchNormEvaluator>(spec, std::move(node), gatherer);
}

}  // namespace ckmap
