#include "compiler/format/columns.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/base/text.h"

namespace ckmap::format {
namespace {

constexpr size_t kMaxSpread = 28;  // between the narrowest and the widest cell of a column
constexpr size_t kMaxRows = 256;   // of a group: who sees more at once?

// Widths of the cells of a row up to the last that is not empty.
std::vector<size_t> WidthsOf(const Row& row) {
  std::vector<size_t> widths;
  for (const std::string& cell : row) widths.push_back(DisplayWidth(cell));
  while (!widths.empty() && widths.back() == 0) widths.pop_back();
  return widths;
}

struct Column {
  size_t widest = 0;
  size_t narrowest = std::numeric_limits<size_t>::max();
  size_t rows = 0;         // that go on behind this column
  size_t used = 0;         // characters of their cells
  size_t longest_end = 0;  // of the rows that end here
};

// Rows that might become one group.
class Group {
 public:
  void Add(const std::vector<size_t>& widths) {
    columns_.resize(std::max(columns_.size(), widths.size()));
    for (size_t i = 0; i < widths.size(); ++i) {
      Column& column = columns_[i];
      if (i + 1 == widths.size()) {
        column.longest_end = std::max(column.longest_end, widths[i]);
        continue;
      }
      ++column.rows;
      column.used += widths[i];
      column.widest = std::max(column.widest, widths[i]);
      if (widths[i] > 0) column.narrowest = std::min(column.narrowest, widths[i]);
    }
  }

  bool Fits(size_t width) const {
    size_t begin = 0;
    for (const Column& column : columns_) {
      if (column.longest_end > 0 && begin + column.longest_end > width) return false;
      if (column.widest > 0 && column.widest - column.narrowest > kMaxSpread) return false;
      if (column.widest > 0) begin += column.widest + 1;
    }
    return true;
  }

  size_t Padding() const {
    size_t padding = 0;
    for (const Column& column : columns_) padding += column.widest * column.rows - column.used;
    return padding;
  }

  std::string Print(const Row& row) const {
    std::string line;
    size_t missing = 0;  // spaces, once another cell follows
    for (size_t i = 0; i < row.size(); ++i) {
      if (!row[i].empty()) {
        line.append(missing, ' ');
        line += row[i];
        missing = 0;
      }
      const size_t widest = i < columns_.size() ? columns_[i].widest : 0;
      if (widest > 0) missing += widest - DisplayWidth(row[i]) + 1;
    }
    return line;
  }

 private:
  std::vector<Column> columns_;
};

}  // namespace

std::vector<std::string> Align(const std::vector<Row>& rows, size_t width) {
  std::vector<std::vector<size_t>> widths;
  for (const Row& row : rows) widths.push_back(WidthsOf(row));
  // best[n]: groups and padding of the first n rows, and where the last group begins.
  struct Best {
    std::pair<size_t, size_t> cost;
    size_t begin = 0;
  };
  std::vector<Best> best(rows.size() + 1);
  for (size_t end = 1; end <= rows.size(); ++end) {
    Group group;
    bool found = false;
    for (size_t begin = end; begin-- > 0 && end - begin <= kMaxRows;) {
      group.Add(widths[begin]);
      if (begin + 1 < end && !group.Fits(width)) break;
      const std::pair cost(best[begin].cost.first + 1, best[begin].cost.second + group.Padding());
      if (!found || cost < best[end].cost) best[end] = {cost, begin};
      found = true;
    }
  }
  std::vector<std::string> lines(rows.size());
  for (size_t end = rows.size(); end > 0; end = best[end].begin) {
    Group group;
    for (size_t i = best[end].begin; i < end; ++i) group.Add(widths[i]);
    for (size_t i = best[end].begin; i < end; ++i) lines[i] = group.Print(rows[i]);
  }
  return lines;
}

}  // namespace ckmap::format
