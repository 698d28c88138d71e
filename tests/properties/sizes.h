// Sizes of both kinds that shape rules are asked about: numbers, and polynomials whose names are worth the number in them.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "compiler/sema/shapes/polynomial_size.h"
#include "tests/properties/array.h"

namespace ckmap::testing {

inline int64_t Roll(int64_t sides) { return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<int64_t>(0, sides)); }

// Each name is worth the number in it.
inline Polynomial Named(int64_t value) { return Polynomial::Symbol("p" + std::to_string(value), false); }

inline int64_t ValueOf(const Polynomial& size) {
  // "2*p3*p4 + p5 - 1"
  std::istringstream text(size.Text());
  int64_t sum = 0, sign = 1;
  for (std::string term; text >> term;) {
    if (term == "+" || term == "-") {
      sign = term == "+" ? 1 : -1;
      continue;
    }
    int64_t product = sign;
    if (term[0] == '-') {
      product = -product;
      term.erase(0, 1);
    }
    std::istringstream factors(term);
    for (std::string factor; std::getline(factors, factor, '*');)
      product *= std::stoll(factor[0] == 'p' ? factor.substr(1) : factor);
    sum += product;
    sign = 1;
  }
  return sum;
}
inline int64_t ValueOf(int64_t size) { return size; }

template <typename Size>
Size Draw(int64_t value);
template <>
inline int64_t Draw(int64_t value) {
  return value;
}
template <>
inline Polynomial Draw(int64_t value) {
  if (value < 1 || Roll(3) == 0) return Polynomial(value);
  for (int64_t factor = 2; factor < value && Roll(2) == 0; ++factor) {
    if (value % factor == 0)
      return *Polynomial::Multiply(Roll(2) == 0 ? Polynomial(factor) : Named(factor), Named(value / factor));
  }
  return Named(value);
}

template <typename Size>
Dims<Size> DrawDims(const Index& shape) {
  std::vector<Dim<Size>> dims;
  for (const int64_t size : shape) dims.push_back(Draw<Size>(size));
  return dims;
}

}  // namespace ckmap::testing
