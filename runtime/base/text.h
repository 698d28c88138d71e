// Text for people: names from files are data and may hold anything, so they are escaped before
// they reach a terminal. Sizes, counts and durations have one spelling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ckmap {

// 0 to 9, whatever the locale.
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads one code point of `text` at `position`, which is below its size. On success `code` is the
// code point and the result is its length in bytes (1 to 4). Bytes that are no UTF-8 (overlong
// forms, surrogates and values above U+10FFFF too) give 0.
size_t DecodeUtf8(std::string_view text, size_t position, char32_t& code);

bool IsValidUtf8(std::string_view text);

// Whether a code point does something to a terminal or to the order of text instead of being
// seen: controls (C0, DEL, C1), bidirectional controls, zero-width and line separators.
bool IsInvisible(char32_t code);

// `text` such that it takes one line and cannot steer a terminal: \n \t \r as in C, other invisible
// code points as \u{202e}, bytes that are no UTF-8 as \xff. Escaped text stays as it is.
std::string EscapeText(std::string_view text);

// A name as messages show it: in backticks, escaped, and cut where it is very long.
std::string QuoteName(std::string_view name);

// Columns that `text` takes on a terminal; East Asian wide forms count two, colours nothing.
size_t DisplayWidth(std::string_view text);

// "512 B", "1.5 KiB", "97.8 MiB", "600.0 GiB".
std::string FormatBytes(int64_t bytes);

// "1,234,567".
std::string FormatCount(int64_t count);

// "1 tensor", "1,200 tensors".
std::string Plural(int64_t count, std::string_view noun);

// "0.4 s", "42 s", "3 min 05 s", "2 h 10 min".
std::string FormatDuration(double seconds);

// "5GB", "64MiB", "1048576" (bytes) as a number of bytes: KB MB GB TB are powers of 1000, KiB MiB
// GiB TiB of 1024, upper or lower case. False for anything else, or beyond 2^62.
bool ParseByteSize(std::string_view text, int64_t& bytes);

// Columns aligned by spaces; the last one is not padded. Cells must be escaped already, and may be
// coloured.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : header_(std::move(header)) {}
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void AlignRight(size_t column);
  bool empty() const { return rows_.empty(); }
  // Lines end in '\n'; columns without any text are left out. Without rows: "".
  std::string Render(std::string_view indent = "") const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

}  // namespace ckmap
