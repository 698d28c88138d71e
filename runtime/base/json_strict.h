// What JSON's own grammar leaves open and files may not use: numbers in more than one spelling, and
// unpaired surrogates. Used over simdjson, which checks the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ckmap {

// A number written as plain digits: no sign, point, exponent or leading zero, below 2^64. White
// space behind it (as in simdjson's raw tokens) is passed over. nullopt for anything else.
std::optional<uint64_t> ParsePlainUnsigned(std::string_view token);

// The same with an optional '-' (but not "-0"), within int64.
std::optional<int64_t> ParsePlainSigned(std::string_view token);

// Position of a \u escape of JSON text that names half of a surrogate pair without the other half
// next to it; npos if there is none.
size_t FindLoneSurrogate(std::string_view json);

// 1 for the first line.
class LineCounter {
 public:
  explicit LineCounter(std::string_view text) : text_(text) {}
  // Positions must not go down from call to call.
  int LineAt(size_t position);

 private:
  std::string_view text_;
  size_t seen_ = 0;
  int line_ = 1;
};

}  // namespace ckmap
