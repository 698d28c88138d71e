// Sizes as polynomials over the names of a rule: `3*D`, `heads * head_dim`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ckmap {

class Polynomial {
 public:
  Polynomial() = default;
  explicit Polynomial(int64_t constant);
  // `generic`: a name that a shape binds. Two such names stand for two sizes, and one for any size that a number
  // asks for. Other names (params) may happen to make sizes equal.
  static Polynomial Symbol(const std::string& name, bool generic);

  std::optional<int64_t> AsConstant() const;
  // nullopt: the numbers grew too large, or the quotient is no polynomial.
  static std::optional<Polynomial> Add(const Polynomial& a, const Polynomial& b, int64_t factor = 1);
  static std::optional<Polynomial> Multiply(const Polynomial& a, const Polynomial& b);
  static std::optional<Polynomial> Divide(const Polynomial& a, const Polynomial& b);

  friend bool operator==(const Polynomial&, const Polynomial&) = default;
  // True if they are equal for no values of the params and no sizes of the generic names, where two names differ.
  static bool NeverEqual(const Polynomial& a, const Polynomial& b);

  // `factor * base + constant`, where the coefficients of `base` have no common divisor and the first is
  // positive; a number has factor 0. nullopt: the numbers grew too large.
  struct Normal;
  std::optional<Normal> Normalized() const;
  // What is added up: names and products of names, each with its factor. A constant is left out.
  std::vector<std::pair<std::string, int64_t>> Parts() const;
  // True if `a` is no multiple of `b` whatever the names stand for.
  static bool NeverDivides(const Polynomial& a, const Polynomial& b);

  std::string Text() const;  // "3*D + 1"

 private:
  using Monomial = std::vector<std::string>;  // sorted; generic names start with '.'
  std::map<Monomial, int64_t> terms_;         // no zeros
};

struct Polynomial::Normal {
  Polynomial base;
  int64_t factor = 0;
  int64_t constant = 0;
};

}  // namespace ckmap
