#include "compiler/format/format.h"

#include <algorithm>
#include <utility>

#include "compiler/format/columns.h"
#include "compiler/format/items.h"
#include "compiler/format/layout.h"
#include "compiler/format/line_text.h"
#include "compiler/syntax/parser.h"
#include "compiler/syntax/tokens.h"
#include "runtime/base/check.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

using format::Item;
using format::kLineWidth;
using format::Line;
using format::StatementLayout;

constexpr size_t kIndent = 2;

class Printer {
 public:
  // The depth of blocks is limited by the parser.
  void PrintBody(const std::vector<Item>& items, size_t indent) {
    size_t next = 0;
    while (next < items.size()) {
      if (next > 0 && items[next].blank_above) lines_.push_back({});
      const size_t run = RunAt(items, next, indent);
      if (run > next) {
        PrintRun(items, next, run, indent);
        next = run;
      } else {
        PrintItem(items[next++], indent);
      }
    }
  }

  std::string Finish() {
    AlignComments();
    std::string out;
    for (const Line& line : lines_) {
      if (!line.text.empty()) out += std::string(line.indent, ' ') + line.text;
      out += '\n';
    }
    return out;
  }

 private:
  // The end of the statements from `begin` on that can share columns; `begin` if it has none.
  size_t RunAt(const std::vector<Item>& items, size_t begin, size_t indent) {
    size_t end = begin;
    std::string_view columns;
    layouts_.clear();
    for (; end < items.size(); ++end) {
      const Item& item = items[end];
      if (item.words.empty() || item.block || (end > begin && item.blank_above)) break;
      StatementLayout layout = format::LayOut(item.words, indent);
      if (layout.cells.empty() || (end > begin && layout.columns != columns)) break;
      columns = layout.columns;
      layouts_.push_back(std::move(layout));
    }
    return end;
  }

  void PrintRun(const std::vector<Item>& items, size_t begin, size_t end, size_t indent) {
    std::vector<format::Row> rows;
    for (StatementLayout& layout : layouts_) rows.push_back(std::move(layout.cells));
    const std::vector<std::string> first = format::Align(rows, kLineWidth - indent);
    for (size_t i = begin; i < end; ++i) {
      std::vector<Line>& lines = layouts_[i - begin].lines;
      lines[0].text = first[i - begin];
      Add(std::move(lines), items[i].behind);
    }
  }

  void Add(std::vector<Line> lines, std::string_view behind) {
    for (Line& line : lines) lines_.push_back(std::move(line));
    if (!behind.empty()) lines_.back().behind = behind;
  }

  void PrintItem(const Item& item, size_t indent) {
    if (item.words.empty()) return lines_.push_back({indent, std::string(item.comment), ""});
    if (!item.block) return Add(format::LayOut(item.words, indent).lines, item.behind);
    if (item.one_line) {
      const std::string line = OneLine(item);
      if (indent + DisplayWidth(line) <= kLineWidth) return Add({{indent, line, ""}}, item.behind);
    }
    Add(format::LayOut(item.words, indent).lines, {});
    if (item.body.empty() && lines_.back().behind.empty()) {
      lines_.back().text += '}';
      lines_.back().behind = item.behind;
      return;
    }
    PrintBody(item.body, indent + kIndent);
    Add({{indent, "}", ""}}, item.behind);
  }

  static std::string OneLine(const Item& item) {
    std::string line = format::LineText(item.words).Text(0, item.words.size());
    if (!item.block) return line;
    for (const Item& inner : item.body) line += ' ' + OneLine(inner);
    return line + (item.body.empty() ? "}" : " }");
  }

  // Comments behind neighbouring lines start in one column.
  void AlignComments() {
    for (size_t begin = 0; begin < lines_.size(); ++begin) {
      size_t end = begin;
      std::vector<format::Row> rows;
      while (end < lines_.size() && !lines_[end].behind.empty()) {
        const Line& line = lines_[end++];
        // One more space: two in all in front of the comment.
        rows.push_back({std::string(line.indent, ' ') + line.text + ' ', line.behind});
      }
      if (end == begin) continue;
      // However long: a comment is not moved to another line.
      const std::vector<std::string> aligned = format::Align(rows, std::string::npos);
      for (size_t i = begin; i < end; ++i) lines_[i] = {0, aligned[i - begin], ""};
      begin = end;
    }
  }

  std::vector<Line> lines_;
  std::vector<StatementLayout> layouts_;  // of the run that is being printed
};

// All words of a text, then all its comments.
std::vector<std::string> WordsOf(const SourceFile& file, FileId id) {
  std::vector<std::string> words, comments;
  for (const Token& token : Tokenize(file, id)) {
    std::string_view text = file.text().substr(token.span.begin, token.span.end - token.span.begin);
    const bool comment = token.kind == TokenKind::kComment || token.kind == TokenKind::kDoc;
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    (comment ? comments : words).emplace_back(text);
  }
  words.insert(words.end(), std::make_move_iterator(comments.begin()), std::make_move_iterator(comments.end()));
  return words;
}

}  // namespace

std::optional<std::string> Format(const SourceFile& file, FileId id, DiagnosticSink& sink) {
  const size_t errors = sink.error_count();
  Parse(file, id, sink);
  if (sink.error_count() > errors) return std::nullopt;
  Printer printer;
  printer.PrintBody(format::ReadItems(file, id), 0);
  std::string text = printer.Finish();
  // A formatter that loses a word would be worse than none.
  CKMAP_CHECK(WordsOf(file, id) == WordsOf(SourceFile(file.name(), text), id));
  return text;
}

}  // namespace ckmap
