#include "runtime/base/json_strict.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace ckmap {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// The code unit of the \uXXXX at `position`, or -1 if no such escape stands there.
int CodeUnit(std::string_view json, size_t position) {
  if (position + 6 > json.size() || json[position] != '\\' || json[position + 1] != 'u') return -1;
  int unit = 0;
  const char* begin = json.data() + position + 2;
  const auto [end, error] = std::from_chars(begin, begin + 4, unit, 16);
  return error == std::errc() && end == begin + 4 && unit >= 0 ? unit : -1;
}

}  // namespace

std::optional<uint64_t> ParsePlainUnsigned(std::string_view token) {
  while (!token.empty() && IsSpace(token.back())) token.remove_suffix(1);
  if (token.empty() || (token[0] == '0' && token.size() > 1)) return std::nullopt;
  uint64_t value = 0;
  for (const char c : token) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (value > (std::numeric_limits<uint64_t>::max() - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<int64_t> ParsePlainSigned(std::string_view token) {
  const bool negative = !token.empty() && token[0] == '-';
  const auto magnitude = ParsePlainUnsigned(negative ? token.substr(1) : token);
  if (!magnitude || *magnitude > uint64_t{std::numeric_limits<int64_t>::max()}) return std::nullopt;
  if (negative && *magnitude == 0) return std::nullopt;
  const auto value = static_cast<int64_t>(*magnitude);
  return negative ? -value : value;
}

size_t FindLoneSurrogate(std::string_view json) {
  for (size_t i = json.find('\\'); i != std::string_view::npos; i = json.find('\\', i)) {
    const int unit = CodeUnit(json, i);
    if (unit < 0) {
      i += 2;  // another escape: it takes two characters, the second may be a backslash
      if (i >= json.size()) break;
      continue;
    }
    if (unit >= 0xdc00 && unit < 0xe000) return i;
    if (unit >= 0xd800 && unit < 0xdc00) {
      const int low = CodeUnit(json, i + 6);
      if (low < 0xdc00 || low >= 0xe000) return i;
      i += 6;
    }
    i += 6;
  }
  return std::string_view::npos;
}

int LineCounter::LineAt(size_t position) {
  position = std::min(position, text_.size());
  if (position > seen_) {
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(seen_),
                                         text_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
    seen_ = position;
  }
  return line_;
}

}  // namespace ckmap
