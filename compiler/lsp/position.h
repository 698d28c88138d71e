// Places in a text as editors count them: lines and UTF-16 units, both from 0.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ckmap::lsp {

struct Position {
  int64_t line = 0;
  int64_t character = 0;  // UTF-16 units
  friend bool operator==(const Position&, const Position&) = default;
};

struct Range {
  Position start, end;
};

// Lines end with \n, \r\n or \r, as the protocol has it. Refers to the text.
class LineTable {
 public:
  explicit LineTable(std::string_view text);

  // What lies outside of the text is moved to its nearest place; the middle of a character to its start.
  size_t OffsetOf(Position position) const;
  Position PositionOf(size_t offset) const;
  Range RangeOf(size_t begin, size_t end) const { return {PositionOf(begin), PositionOf(end)}; }
  Position End() const { return PositionOf(text_.size()); }

 private:
  size_t LineEnd(size_t line) const;  // without its end

  std::string_view text_;
  std::vector<size_t> starts_;
};

}  // namespace ckmap::lsp
