#include "compiler/sema/shapes/polynomial.h"

#include <doctest/doctest.h>

namespace ckmap {
namespace {

const Polynomial kD = Polynomial::Symbol("D", true), kE = Polynomial::Symbol("E", true);
const Polynomial kHeads = Polynomial::Symbol("heads", false);

TEST_CASE("sums and products") {
  const Polynomial sum = *Polynomial::Add(*Polynomial::Multiply(Polynomial(3), kD), Polynomial(1));
  CHECK(sum.Text() == "3*D + 1");
  CHECK(*Polynomial::Multiply(kD, kE) == *Polynomial::Multiply(kE, kD));
  CHECK(Polynomial::Add(kD, kD, -1)->AsConstant() == 0);
  CHECK_FALSE(Polynomial::Multiply(Polynomial(INT64_MAX), Polynomial(2)).has_value());
  CHECK_FALSE(Polynomial::Add(Polynomial(INT64_MAX), Polynomial(1)).has_value());
}

TEST_CASE("quotients are exact or not at all") {
  const Polynomial product = *Polynomial::Multiply(*Polynomial::Multiply(Polynomial(6), kD), kE);
  CHECK(Polynomial::Divide(product, *Polynomial::Multiply(Polynomial(2), kE))->Text() == "3*D");
  CHECK_FALSE(Polynomial::Divide(kD, Polynomial(2)).has_value());
  CHECK_FALSE(Polynomial::Divide(kD, kE).has_value());
  CHECK_FALSE(Polynomial::Divide(kD, Polynomial(0)).has_value());
}

TEST_CASE("sizes that are never equal") {
  CHECK(Polynomial::NeverEqual(Polynomial(2), Polynomial(3)));
  CHECK(Polynomial::NeverEqual(kD, kE));
  CHECK_FALSE(Polynomial::NeverEqual(kD, kD));
  CHECK_FALSE(Polynomial::NeverEqual(kD, kHeads));
  CHECK_FALSE(Polynomial::NeverEqual(kHeads, Polynomial(4)));
  // What a number asks for a name can be; what other names ask for it is not.
  const auto times = [](const Polynomial& a, const Polynomial& b) { return *Polynomial::Multiply(a, b); };
  CHECK_FALSE(Polynomial::NeverEqual(kD, Polynomial(48)));
  CHECK_FALSE(Polynomial::NeverEqual(times(kD, kE), times(kE, Polynomial(48))));
  CHECK_FALSE(Polynomial::NeverEqual(times(kD, kE), kE));
  CHECK(Polynomial::NeverEqual(times(kD, kD), kD));
  CHECK(Polynomial::NeverEqual(times(kD, kE), times(Polynomial(3), times(kD, kE))));
  CHECK(Polynomial::NeverEqual(times(Polynomial(2), kD), Polynomial(5)));
  CHECK(Polynomial::NeverEqual(*Polynomial::Add(kD, Polynomial(6)), Polynomial(5)));
}

}  // namespace
}  // namespace ckmap
