// What a size may be: a number, where a plan is bound; a polynomial over the names of a rule, where one is compiled; a
// text, where one is reversed. The rules of shapes (shape_rules.h) are templates over it: each operation has one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <fmt/format.h>

namespace ckmap {

// Specialized for each kind of size. What is nullopt is not known, or has grown too large.
template <typename Size>
struct SizeKind;

template <>
struct SizeKind<int64_t> {
  static int64_t Number(int64_t value) { return value; }
  static std::optional<int64_t> Constant(int64_t size) { return size; }  // its value, where it is a number
  static std::optional<int64_t> Add(int64_t a, int64_t b) {
    int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional(sum);
  }
  static std::optional<int64_t> Multiply(int64_t a, int64_t b) {
    int64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? std::nullopt : std::optional(product);
  }
  static std::optional<int64_t> Divide(int64_t a, int64_t b) {
    return b == 0 || a % b != 0 ? std::nullopt : std::optional(a / b);
  }
  static bool Equal(int64_t a, int64_t b) { return a == b; }       // surely
  static bool NeverEqual(int64_t a, int64_t b) { return a != b; }  // whatever the names in them stand for
  static bool NeverDivides(int64_t a, int64_t b) { return b == 0 || a % b != 0; }  // `a` by `b`
  static std::string Text(int64_t size) { return fmt::format("{}", size); }
};

}  // namespace ckmap
