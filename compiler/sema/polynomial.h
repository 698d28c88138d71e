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
  // `generic`: a name that a shape binds. It stands for any size, so that two sizes which differ in
  // generic names alone are different sizes. Other names (params) may happen to make sizes equal.
  static Polynomial Symbol(const std::string& name, bool generic);

  std::optional<int64_t> AsConstant() const;
  // nullopt: the numbers grew too large, or the quotient is no polynomial.
  static std::optional<Polynomial> Add(const Polynomial& a, const Polynomial& b, int64_t factor = 1);
  static std::optional<Polynomial> Multiply(const Polynomial& a, const Polynomial& b);
  static std::optional<Polynomial> Divide(const Polynomial& a, const Polynomial& b);

  friend bool operator==(const Polynomial&, const Polynomial&) = default;
  // True if no values of the params make them equal for every size of the generic names.
  static bool NeverEqual(const Polynomial& a, const Polynomial& b);

  std::string Text() const;  // "3*D + 1"

 private:
  using Monomial = std::vector<std::string>;  // sorted; generic names start with '.'
  std::map<Monomial, int64_t> terms_;         // no zeros
};

}  // namespace ckmap
