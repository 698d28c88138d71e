#include "runtime/tensor/number.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace ckmap {

std::optional<double> ExactDouble(int64_t integer) {
  const auto rounded = static_cast<double>(integer);
  // 2^63 is what the greatest integers are rounded to, and no int64.
  if (rounded >= 0x1p63 || static_cast<int64_t>(rounded) != integer) return std::nullopt;
  return rounded;
}

std::optional<double> ExactDouble(const Number& number) {
  const int64_t* integer = std::get_if<int64_t>(&number);
  return integer != nullptr ? ExactDouble(*integer) : std::optional(std::get<double>(number));
}

bool MayBeRounded(const Number& number) {
  const double* real = std::get_if<double>(&number);
  return real != nullptr && std::isfinite(*real) && std::fabs(*real) >= 0x1p53;
}

Number Canonical(const Number& number) {
  const double* real = std::get_if<double>(&number);
  if (real == nullptr || !(std::fabs(*real) < 0x1p53) || *real != std::floor(*real)) return number;
  if (*real == 0 && std::signbit(*real)) return number;
  return static_cast<int64_t>(*real);
}

bool IsZero(const Number& number) {
  const int64_t* integer = std::get_if<int64_t>(&number);
  return integer != nullptr ? *integer == 0 : std::get<double>(number) == 0;
}

std::optional<double> ParseReal(std::string_view text) {
  const char* end = text.data() + text.size();
  int64_t integer = 0;
  const auto [int_at, int_error] = std::from_chars(text.data(), end, integer);
  if (int_error == std::errc() && int_at == end) return ExactDouble(integer);
  double real = 0;
  const auto [at, error] = std::from_chars(text.data(), end, real);
  return error == std::errc() && at == end && std::isfinite(real) ? std::optional(real) : std::nullopt;
}

std::string FormatNumber(const Number& number) {
  const int64_t* integer = std::get_if<int64_t>(&number);
  return integer != nullptr ? fmt::format("{}", *integer) : fmt::format("{}", std::get<double>(number));
}

}  // namespace ckmap
