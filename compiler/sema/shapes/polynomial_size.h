// Polynomials as sizes of the shape rules (runtime/ops/shape_rule.h).
#pragma once

#include "compiler/sema/shapes/polynomial.h"
#include "runtime/ops/size_kind.h"

namespace ckmap {

template <>
struct SizeKind<Polynomial> {
  static Polynomial Number(int64_t value) { return Polynomial(value); }
  static std::optional<int64_t> Constant(const Polynomial& size) { return size.AsConstant(); }
  static std::optional<Polynomial> Add(const Polynomial& a, const Polynomial& b) {
    return OrTooLarge(Polynomial::Add(a, b), a, b);
  }
  static std::optional<Polynomial> Multiply(const Polynomial& a, const Polynomial& b) {
    return OrTooLarge(Polynomial::Multiply(a, b), a, b);
  }
  static std::optional<Polynomial> Divide(const Polynomial& a, const Polynomial& b) { return Polynomial::Divide(a, b); }
  static bool Equal(const Polynomial& a, const Polynomial& b) { return a == b; }
  static bool NeverEqual(const Polynomial& a, const Polynomial& b) { return Polynomial::NeverEqual(a, b); }
  static bool NeverDivides(const Polynomial& a, const Polynomial& b) { return Polynomial::NeverDivides(a, b); }
  static std::string Text(const Polynomial& size) { return size.Text(); }

 private:
  // Numbers beyond 64 bits become the greatest one, which no tensor's size is: op_shapes.cc reports it.
  static std::optional<Polynomial> OrTooLarge(std::optional<Polynomial> size, const Polynomial& a,
                                              const Polynomial& b) {
    const auto x = a.AsConstant(), y = b.AsConstant();
    if (size || !x || !y || *x < 0 || *y < 0) return size;
    return Polynomial(INT64_MAX);
  }
};

}  // namespace ckmap
