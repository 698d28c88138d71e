// A statement as lines, before columns are aligned. Private to compiler/format.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/format/items.h"

namespace ckmap::format {

inline constexpr size_t kLineWidth = 100;

struct Line {
  size_t indent = 0;  // columns
  std::string text;
  std::string behind;  // comment behind it
};

struct StatementLayout {
  std::vector<Line> lines;
  // Of the first line, for columns; empty: it has none. Statements with equal `columns` can be aligned: cell by
  // cell, an empty one where a statement lacks that part.
  std::vector<std::string> cells;
  std::string_view columns;
};

StatementLayout LayOut(const std::vector<Word>& words, size_t indent);

}  // namespace ckmap::format
