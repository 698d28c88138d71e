// What elements of each dtype are worth, and how a number becomes one: written from the formats' definitions, with the
// arithmetic of long double, and nothing of the runtime's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ckmap::testing {

enum class Overflows { kError, kSaturate, kInf };

// A dtype by its name: "f8_e4m3".
int BytesOf(const std::string& dtype);
bool IsFloatName(const std::string& dtype);    // f16 … f64, and floats of 8 bits that have a sign
bool IsIntegerName(const std::string& dtype);  // not bool
bool IsNumberName(const std::string& dtype);   // those two

// Exact for every element of every dtype that has numbers (bool and f8_e8m0 too). A NaN has no payload here.
long double ValueOf(const std::string& dtype, uint64_t bits);

struct Encoded {
  uint64_t bits = 0;
  bool overflowed = false;
};
// The nearest element, ties to even. NaNs become the dtype's quiet NaN; in an integer they overflow (0).
Encoded Encode(const std::string& dtype, long double value, Overflows overflow);

// A cast, as the language defines it: NaNs keep their sign and the leading bits of their payload.
Encoded CastBits(const std::string& from, const std::string& to, uint64_t bits, Overflows overflow);

// The sign of an element the other way round. nullopt: the least integer.
std::optional<uint64_t> Negated(const std::string& dtype, uint64_t bits);

}  // namespace ckmap::testing
