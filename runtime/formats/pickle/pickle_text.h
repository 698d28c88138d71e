// The texts inside pickles: numbers, string literals and escapes of protocol 0. Internal to pickle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ckmap {

// An integer of up to 38 decimal digits with an optional '-'; two's complement, little-endian, as
// few bytes as hold it (at least one). nullopt for anything else.
std::optional<std::string> ParsePickleInteger(std::string_view text);

// Python's repr of a float: decimal, "inf", "-inf", "nan".
std::optional<double> ParsePickleFloat(std::string_view text);

// A quoted literal as Python's repr writes it, to its bytes.
std::optional<std::string> ParsePickleLiteral(std::string_view text);

// Python's raw-unicode-escape (Latin-1 with \uXXXX and \UXXXXXXXX) to UTF-8.
std::optional<std::string> ParsePickleUnicode(std::string_view text);

// UTF-8 of code points below 256 to those bytes: what _codecs.encode(text, "latin1") makes.
std::optional<std::string> Latin1FromUtf8(std::string_view text);

}  // namespace ckmap
