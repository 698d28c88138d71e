#include "compiler/sema/shapes/polynomial.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr size_t kMaxTerms = 64;

}  // namespace

Polynomial::Polynomial(int64_t constant) {
  if (constant != 0) terms_[{}] = constant;
}

Polynomial Polynomial::Symbol(const std::string& name, bool generic) {
  Polynomial result;
  result.terms_[{generic ? "." + name : name}] = 1;
  return result;
}

std::optional<int64_t> Polynomial::AsConstant() const {
  if (terms_.empty()) return 0;
  if (terms_.size() == 1 && terms_.begin()->first.empty()) return terms_.begin()->second;
  return std::nullopt;
}

std::optional<Polynomial> Polynomial::Add(const Polynomial& a, const Polynomial& b, int64_t factor) {
  Polynomial sum = a;
  for (const auto& [monomial, coefficient] : b.terms_) {
    int64_t scaled = 0;
    int64_t& value = sum.terms_[monomial];
    if (__builtin_mul_overflow(coefficient, factor, &scaled)) return std::nullopt;
    if (__builtin_add_overflow(value, scaled, &value)) return std::nullopt;
    if (value == 0) sum.terms_.erase(monomial);
  }
  return sum.terms_.size() <= kMaxTerms ? std::optional(std::move(sum)) : std::nullopt;
}

std::optional<Polynomial> Polynomial::Multiply(const Polynomial& a, const Polynomial& b) {
  Polynomial product;
  for (const auto& [left, x] : a.terms_) {
    Polynomial row;
    for (const auto& [right, y] : b.terms_) {
      Monomial merged = left;
      merged.insert(merged.end(), right.begin(), right.end());
      std::sort(merged.begin(), merged.end());
      if (merged.size() > kMaxTerms || __builtin_mul_overflow(x, y, &row.terms_[merged])) return std::nullopt;
    }
    std::optional<Polynomial> sum = Add(product, row);
    if (!sum) return std::nullopt;
    product = *std::move(sum);
  }
  return product;
}

std::optional<Polynomial> Polynomial::Divide(const Polynomial& a, const Polynomial& b) {
  if (a == b && !b.terms_.empty()) return Polynomial(1);
  if (b.terms_.size() != 1) return std::nullopt;
  const auto& [divisor, by] = *b.terms_.begin();
  Polynomial quotient;
  for (const auto& [monomial, coefficient] : a.terms_) {
    if (!std::includes(monomial.begin(), monomial.end(), divisor.begin(), divisor.end())) return std::nullopt;
    if ((coefficient == INT64_MIN && by == -1) || coefficient % by != 0) return std::nullopt;
    Monomial rest;
    std::set_difference(monomial.begin(), monomial.end(), divisor.begin(), divisor.end(), std::back_inserter(rest));
    quotient.terms_[rest] = coefficient / by;
  }
  return quotient;
}

// Sizes that checkpoints hold may make names equal to numbers, but two names stand for two sizes. So an equation of
// names with each other never holds; one with a number in it holds if whole sizes from 0 can solve it.
bool Polynomial::NeverEqual(const Polynomial& a, const Polynomial& b) {
  const std::optional<Polynomial> difference = Add(a, b, -1);
  if (!difference || difference->terms_.empty()) return false;
  for (const auto& [monomial, coefficient] : difference->terms_) {
    for (const std::string& name : monomial) {
      if (name[0] != '.') return false;
    }
  }
  Monomial common = difference->terms_.begin()->first;
  for (const auto& [monomial, coefficient] : difference->terms_) {
    Monomial both;
    std::set_intersection(common.begin(), common.end(), monomial.begin(), monomial.end(), std::back_inserter(both));
    common = std::move(both);
  }
  const auto constant = difference->terms_.find(common);
  if (constant == difference->terms_.end() || difference->terms_.size() == 1) return true;
  int64_t divisor = 0;
  bool one_sign = true, fresh = false;  // a name beside those that stand in every term: `D*D` is not `D`
  for (const auto& [monomial, coefficient] : difference->terms_) {
    one_sign = one_sign && (coefficient < 0) == (constant->second < 0);
    if (monomial == common) continue;
    if (coefficient != INT64_MIN) divisor = std::gcd(divisor, coefficient);
    fresh = fresh || std::any_of(monomial.begin(), monomial.end(), [&](const std::string& name) {
              return !std::binary_search(common.begin(), common.end(), name);
            });
  }
  return one_sign || !fresh || (divisor > 1 && constant->second % divisor != 0);
}

std::optional<Polynomial::Normal> Polynomial::Normalized() const {
  Normal normal;
  for (const auto& [monomial, coefficient] : terms_) {
    if (coefficient == INT64_MIN) return std::nullopt;
    if (monomial.empty()) {
      normal.constant = coefficient;
    } else {
      normal.factor = std::gcd(normal.factor, coefficient);
      normal.base.terms_[monomial] = coefficient;
    }
  }
  if (normal.factor == 0) return normal;
  if (normal.base.terms_.begin()->second < 0) normal.factor = -normal.factor;
  for (auto& [monomial, coefficient] : normal.base.terms_) coefficient /= normal.factor;
  return normal;
}

std::vector<std::pair<std::string, int64_t>> Polynomial::Parts() const {
  std::vector<std::pair<std::string, int64_t>> parts;
  for (const auto& [monomial, coefficient] : terms_) {
    if (monomial.empty()) continue;
    Polynomial product;
    product.terms_[monomial] = 1;
    parts.emplace_back(product.Text(), coefficient);
  }
  return parts;
}

bool Polynomial::NeverDivides(const Polynomial& a, const Polynomial& b) {
  if (a.terms_.size() != 1 || b.terms_.size() != 1) return false;
  const auto& [left, x] = *a.terms_.begin();
  const auto& [right, y] = *b.terms_.begin();
  return left == right && y != 0 && y != -1 && x % y != 0;
}

std::string Polynomial::Text() const {
  if (terms_.empty()) return "0";
  std::string text;
  // The constant last, as people write it.
  std::vector<std::pair<Monomial, int64_t>> order(terms_.begin(), terms_.end());
  std::stable_partition(order.begin(), order.end(), [](const auto& term) { return !term.first.empty(); });
  for (const auto& [monomial, coefficient] : order) {
    const int64_t size = coefficient < 0 && coefficient != INT64_MIN ? -coefficient : coefficient;
    if (!text.empty()) text += coefficient < 0 ? " - " : " + ";
    if (text.empty() && coefficient < 0) text += "-";
    std::string product = size != 1 || monomial.empty() ? fmt::format("{}", size) : "";
    for (const std::string& name : monomial) {
      if (!product.empty()) product += "*";
      product += name[0] == '.' ? name.substr(1) : name;
    }
    text += product;
  }
  return text;
}

}  // namespace ckmap
