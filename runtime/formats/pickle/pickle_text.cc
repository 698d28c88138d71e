#include "runtime/formats/pickle/pickle_text.h"

#include <charconv>
#include <system_error>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr size_t kMaxDigits = 38;  // 10^38 < 2^127

// Hexadecimal digits of exactly this text.
std::optional<char32_t> ParseHex(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void AppendUtf8(char32_t code, std::string& out) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | (code >> 6));
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3f));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

// One escape of a literal; `text` begins behind the backslash and loses what was read.
std::optional<char> ParseEscape(std::string_view& text) {
  const char kind = text.front();
  text.remove_prefix(1);
  switch (kind) {
    case '\\':
    case '\'':
    case '"':
      return kind;
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case 'x': {
      if (text.size() < 2) return std::nullopt;
      const auto code = ParseHex(text.substr(0, 2));
      text.remove_prefix(2);
      if (!code) return std::nullopt;
      return static_cast<char>(*code);
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<std::string> ParsePickleInteger(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > kMaxDigits) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;  // Python reads it as octal, or not at all
  Wide value = 0;
  for (const char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (negative) value = ~value + 1;
  std::string bytes;
  for (int i = 0; i < 16; ++i) bytes += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
  // A byte that only repeats the sign of the one below it says nothing.
  const auto sign = [&](size_t i) { return (static_cast<unsigned char>(bytes[i]) & 0x80) != 0 ? '\xff' : '\0'; };
  while (bytes.size() > 1 && bytes.back() == sign(bytes.size() - 2)) bytes.pop_back();
  return bytes;
}

std::optional<double> ParsePickleFloat(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::string> ParsePickleLiteral(std::string_view text) {
  if (text.size() < 2 || (text.front() != '\'' && text.front() != '"') || text.back() != text.front()) {
    return std::nullopt;
  }
  const char quote = text.front();
  text = text.substr(1, text.size() - 2);
  std::string out;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == quote) return std::nullopt;
    if (c != '\\') {
      out += c;
      continue;
    }
    if (text.empty()) return std::nullopt;
    const auto escaped = ParseEscape(text);
    if (!escaped) return std::nullopt;
    out += *escaped;
  }
  return out;
}

std::optional<std::string> ParsePickleUnicode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const bool escape = text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 'u' || text[i + 1] == 'U');
    if (!escape) {
      AppendUtf8(static_cast<unsigned char>(text[i]), out);
      ++i;
      continue;
    }
    const size_t digits = text[i + 1] == 'u' ? 4 : 8;
    if (text.size() - i - 2 < digits) return std::nullopt;
    const auto code = ParseHex(text.substr(i + 2, digits));
    if (!code || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)) return std::nullopt;
    AppendUtf8(*code, out);
    i += 2 + digits;
  }
  return out;
}

std::optional<std::string> Latin1FromUtf8(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    char32_t code = 0;
    const size_t length = DecodeUtf8(text, i, code);
    if (length == 0 || code > 0xff) return std::nullopt;
    out += static_cast<char>(code);
    i += length;
  }
  return out;
}

}  // namespace ckmap
