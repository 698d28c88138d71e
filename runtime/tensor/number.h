// A number as rules and tests write it. An integer stays one: it is never rounded on its way to an element.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace ckmap {

using Number = std::variant<int64_t, double>;

// The number as f64; nullopt for an integer that f64 can only hold rounded.
std::optional<double> ExactDouble(const Number& number);
std::optional<double> ExactDouble(int64_t integer);

// Whether the number has no fraction, but may be what other digits were rounded to: a float of 2^53 or more. Integers
// are not computed with it.
bool MayBeRounded(const Number& number);
// What mends that.
inline constexpr std::string_view kWriteAllDigits =
    "the number is whole, but written as a float: write all its digits, without a point or an exponent";

// A number without a fraction that was not rounded becomes an integer, so that equal numbers compare equal. -0.0 stays
// what it is.
Number Canonical(const Number& number);

bool IsZero(const Number& number);

// The number that a text is: "0.1", "-3", "1e-5". nullopt for anything else, for what is not finite, and for an integer
// with more digits than f64 holds.
std::optional<double> ParseReal(std::string_view text);

// "9007199254740993", "0.1": the shortest text that is read back as the same number.
std::string FormatNumber(const Number& number);

}  // namespace ckmap
