// One product or sum of floats in f64, and whether it is exact. For ComputeElement and for the kernel that does it to
// many elements.
#pragma once

#include <cmath>

#include "runtime/ops/element_op.h"

namespace ckmap {

struct InDouble {
  double value = 0;
  bool exact = true;  // no bit was lost in f64
};

inline InDouble ComputeInDouble(ElementOp::Kind kind, double operand, double value) {
  if (kind == ElementOp::Kind::kScale) {
    const double product = value * operand;
    // Among the smallest numbers the error of a product may itself be too small to be seen.
    if (std::fabs(product) < 0x1p-960) return {product, product / operand == value};
    return {product, !std::isfinite(product) || std::fma(value, operand, -product) == 0};
  }
  const double sum = value + operand;  // and its error, after Knuth
  const double other = sum - value;
  const double error = (value - (sum - other)) + (operand - other);
  return {sum, !std::isfinite(sum) || error == 0};
}

// Whether a product that must be rounded counts as overflowed.
inline bool MustBeExact(const ElementOp& op, double operand) {
  int exponent = 0;
  return op.kind == ElementOp::Kind::kScale && op.overflow == Overflow::kError &&
         std::fabs(std::frexp(operand, &exponent)) == 0.5;
}

}  // namespace ckmap
