#include "compiler/lsp/position.h"

#include <algorithm>

#include "runtime/base/text.h"

namespace ckmap::lsp {
namespace {

// Bytes and UTF-16 units of the character at `offset`; a byte that is no UTF-8 counts one.
struct Step {
  size_t bytes;
  int64_t units;
};
Step StepAt(std::string_view text, size_t offset) {
  char32_t code = 0;
  const size_t bytes = DecodeUtf8(text, offset, code);
  return bytes == 0 ? Step{1, 1} : Step{bytes, code > 0xffff ? 2 : 1};
}

}  // namespace

LineTable::LineTable(std::string_view text) : text_(text), starts_{0} {
  for (size_t i = 0; i < text.size(); ++i) {
    const bool carriage = text[i] == '\r' && !(i + 1 < text.size() && text[i + 1] == '\n');
    if (text[i] == '\n' || carriage) starts_.push_back(i + 1);
  }
}

size_t LineTable::LineEnd(size_t line) const {
  size_t end = line + 1 < starts_.size() ? starts_[line + 1] : text_.size();
  while (end > starts_[line] && (text_[end - 1] == '\n' || text_[end - 1] == '\r')) --end;
  return end;
}

size_t LineTable::OffsetOf(Position position) const {
  if (position.line < 0) return 0;
  if (position.line >= static_cast<int64_t>(starts_.size())) return text_.size();
  const auto line = static_cast<size_t>(position.line);
  const size_t end = LineEnd(line);
  size_t offset = starts_[line];
  for (int64_t units = 0; offset < end;) {
    const Step step = StepAt(text_, offset);
    units += step.units;
    if (units > position.character) break;
    offset += step.bytes;
  }
  return offset;
}

Position LineTable::PositionOf(size_t offset) const {
  offset = std::min(offset, text_.size());
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), offset);
  const auto line = static_cast<size_t>(next - starts_.begin()) - 1;
  Position position{static_cast<int64_t>(line), 0};
  for (size_t at = starts_[line]; at < offset;) {
    const Step step = StepAt(text_, at);
    if (at + step.bytes > offset) break;
    position.character += step.units;
    at += step.bytes;
  }
  return position;
}

}  // namespace ckmap::lsp
