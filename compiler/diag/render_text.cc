#include "compiler/diag/render_text.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr uint32_t kTabWidth = 4;
constexpr size_t kMaxLineBytes = 200;  // longer lines are shown in part

// What to show of one line, and where its bytes come to stand.
struct Mark {
  uint32_t line = 0;
  uint32_t begin = 0;  // byte offsets in the file, within the line
  uint32_t end = 0;
  bool primary = false;
  std::string text;
};

class Painter {
 public:
  explicit Painter(bool color) : color_(color) {}
  std::string Bold(std::string_view text) const { return Wrap("1", text); }
  std::string Severe(Severity severity, std::string_view text) const {
    return Wrap(severity == Severity::kError ? "1;31" : "1;33", text);
  }
  std::string Frame(std::string_view text) const { return Wrap("1;34", text); }

 private:
  std::string Wrap(std::string_view code, std::string_view text) const {
    if (!color_ || text.empty()) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
  }
  bool color_;
};

std::string_view SeverityWord(Severity severity) { return severity == Severity::kError ? "error" : "warning"; }

uint32_t LastLine(const SourceFile& file, const Span& span) {
  const uint32_t last = span.end > span.begin ? span.end - 1 : span.begin;
  return file.Locate(last).line;
}

uint32_t LineEnd(const SourceFile& file, uint32_t line) {
  return file.line_begin(line) + static_cast<uint32_t>(file.Line(line).size());
}

// A span on several lines is marked where it starts and where it ends; its text stands at the end.
void AddMarks(const SourceFile& file, Span span, std::string text, bool primary, std::vector<Mark>& marks) {
  const auto size = static_cast<uint32_t>(file.text().size());
  span.begin = std::min(span.begin, size);
  span.end = std::clamp(span.end, span.begin, size);
  const uint32_t first = file.Locate(span.begin).line;
  const uint32_t last = LastLine(file, span);
  if (first == last) {
    const uint32_t end = std::max(std::min(span.end, LineEnd(file, first)), span.begin);
    marks.push_back({first, span.begin, end, primary, std::move(text)});
    return;
  }
  marks.push_back(
      {first, span.begin, std::max(span.begin, LineEnd(file, first)), primary, primary ? "from here …" : ""});
  const uint32_t last_begin = file.line_begin(last);
  const auto indent = file.Line(last).find_first_not_of(" \t");
  const uint32_t begin =
      std::min(last_begin + static_cast<uint32_t>(indent == std::string_view::npos ? 0 : indent), span.end);
  marks.push_back({last, begin, std::min(span.end, LineEnd(file, last)), primary,
                   text.empty() && primary ? "… to here" : std::move(text)});
}

// Tabs as spaces up to the next stop, everything invisible escaped.
std::string Visible(std::string_view bytes, size_t column) {
  std::string out;
  size_t begin = 0;
  while (begin <= bytes.size()) {
    const size_t tab = std::min(bytes.find('\t', begin), bytes.size());
    const std::string piece = EscapeText(bytes.substr(begin, tab - begin));
    out += piece;
    column += DisplayWidth(piece);
    if (tab == bytes.size()) break;
    const size_t spaces = kTabWidth - column % kTabWidth;
    out.append(spaces, ' ');
    column += spaces;
    begin = tab + 1;
  }
  return out;
}

bool InsideCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// One source line, cut to a window around the marks if it is very long.
class LineView {
 public:
  LineView(const SourceFile& file, uint32_t line, uint32_t focus)
      : base_(file.line_begin(line)), text_(file.Line(line)) {
    if (text_.size() <= kMaxLineBytes) return;
    const size_t at = std::min<size_t>(focus - base_, text_.size());
    from_ = at > kMaxLineBytes / 2 ? at - kMaxLineBytes / 2 : 0;
    while (from_ > 0 && InsideCharacter(text_[from_])) --from_;
    to_ = std::min(text_.size(), from_ + kMaxLineBytes);
    while (to_ < text_.size() && InsideCharacter(text_[to_])) ++to_;
  }

  std::string Text() const {
    const size_t to = std::min(to_, text_.size());
    return std::string(from_ > 0 ? "…" : "") + Visible(text_.substr(from_, to - from_), Lead()) +
           (to < text_.size() ? "…" : "");
  }
  // Column on the screen, from 0, of a byte offset of the file.
  size_t Column(uint32_t offset) const {
    const size_t to = std::min(to_, text_.size());
    const size_t at = std::clamp<size_t>(offset - base_, from_, to);
    return Lead() + DisplayWidth(Visible(text_.substr(from_, at - from_), Lead()));
  }

 private:
  size_t Lead() const { return from_ > 0 ? 1 : 0; }
  uint32_t base_;
  std::string_view text_;
  size_t from_ = 0;
  size_t to_ = std::string_view::npos;
};

class Snippet {
 public:
  Snippet(const Painter& painter, Severity severity, size_t gutter)
      : painter_(painter), severity_(severity), gutter_(gutter) {}

  std::string Bar() const { return painter_.Frame(std::string(gutter_ + 1, ' ') + "|"); }

  void Render(const SourceFile& file, std::vector<Mark> marks, std::string& out) const {
    std::stable_sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) {
      if (a.line != b.line) return a.line < b.line;
      if (a.primary != b.primary) return a.primary;
      return a.begin > b.begin;
    });
    uint32_t previous = 0;
    for (size_t i = 0; i < marks.size();) {
      const uint32_t line = marks[i].line;
      if (previous != 0 && line > previous + 2) out += painter_.Frame("...") + "\n";
      if (previous != 0 && line == previous + 2)
        Source(line - 1, LineView(file, line - 1, file.line_begin(line - 1)), out);
      const LineView view(file, line, marks[i].begin);
      Source(line, view, out);
      for (; i < marks.size() && marks[i].line == line; ++i) Underline(view, marks[i], out);
      previous = line;
    }
  }

 private:
  void Source(uint32_t line, const LineView& view, std::string& out) const {
    const std::string text = view.Text();
    out += painter_.Frame(fmt::format("{:>{}} |", line, gutter_));
    if (!text.empty()) out += " " + text;
    out += "\n";
  }

  void Underline(const LineView& view, const Mark& mark, std::string& out) const {
    const size_t from = view.Column(mark.begin);
    const size_t to = std::max(view.Column(mark.end), from + 1);
    std::string under(to - from, mark.primary ? '^' : '-');
    if (!mark.text.empty()) under += " " + EscapeText(mark.text);
    out += Bar() + " " + std::string(from, ' ') +
           (mark.primary ? painter_.Severe(severity_, under) : painter_.Frame(under)) + "\n";
  }

  const Painter& painter_;
  Severity severity_;
  size_t gutter_;
};

std::string Place(const SourceFile& file, uint32_t offset) {
  const LineColumn at = CharacterPosition(file, offset);
  return fmt::format("{}:{}:{}", EscapeText(file.name()), at.line, at.column);
}

// Notes may have lines of their own; those below the first are indented to its text.
void AppendNote(std::string_view word, std::string_view text, const Painter& painter, size_t gutter, std::string& out) {
  out += std::string(gutter + 1, ' ') + painter.Frame("=") + " " + painter.Bold(fmt::format("{}:", word)) + " ";
  size_t begin = 0;
  while (true) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out += EscapeText(text.substr(begin, end - begin)) + "\n";
    if (end == text.size()) break;
    out += std::string(gutter + 3 + word.size() + 2, ' ');
    begin = end + 1;
  }
}

}  // namespace

LineColumn CharacterPosition(const SourceFile& file, uint32_t offset) {
  offset = std::min(offset, static_cast<uint32_t>(file.text().size()));
  LineColumn at = file.Locate(offset);
  const uint32_t begin = file.line_begin(at.line);
  const std::string_view before = file.text().substr(begin, offset - begin);
  uint32_t column = 1;
  for (size_t i = 0; i < before.size(); ++column) {
    char32_t code = 0;
    i += std::max<size_t>(DecodeUtf8(before, i, code), 1);
    if (code == 0xfeff && begin == 0 && i == 3) --column;  // a byte order mark takes no column
  }
  at.column = column;
  return at;
}

std::string RenderText(const Diagnostic& diagnostic, const SourceMap& sources, const RenderOptions& options) {
  const Painter painter(options.color);
  const Severity severity = Info(diagnostic.kind).severity;
  const SourceFile& file = sources.file(diagnostic.primary.file);
  std::string out =
      painter.Bold(Place(file, diagnostic.primary.begin)) + ": " +
      painter.Severe(severity, fmt::format("{}[{}]", SeverityWord(severity), FormatCode(diagnostic.kind))) + ": " +
      painter.Bold(EscapeText(diagnostic.message)) + "\n";

  // Files in the order in which they are first named, the culprit's own first.
  std::vector<FileId> files{diagnostic.primary.file};
  for (const Label& label : diagnostic.labels) {
    if (std::find(files.begin(), files.end(), label.span.file) == files.end()) {
      files.push_back(label.span.file);
    }
  }
  std::vector<std::vector<Mark>> marks(files.size());
  AddMarks(file, diagnostic.primary, diagnostic.primary_label, true, marks[0]);
  for (const Label& label : diagnostic.labels) {
    const auto index = std::find(files.begin(), files.end(), label.span.file) - files.begin();
    AddMarks(sources.file(label.span.file), label.span, label.text, false, marks[static_cast<size_t>(index)]);
  }
  uint32_t largest = 1;
  for (const auto& group : marks) {
    for (const Mark& mark : group) largest = std::max(largest, mark.line);
  }
  const size_t gutter = fmt::formatted_size("{}", largest);
  const Snippet snippet(painter, severity, gutter);
  for (size_t i = 0; i < files.size(); ++i) {
    const SourceFile& shown = sources.file(files[i]);
    if (shown.text().empty()) continue;
    if (i > 0) {
      out += painter.Frame(std::string(gutter, ' ') + ":::") + " " + Place(shown, marks[i].front().begin) + "\n";
    }
    out += snippet.Bar() + "\n";
    snippet.Render(shown, std::move(marks[i]), out);
  }
  if (!diagnostic.notes.empty() || !diagnostic.help.empty()) out += snippet.Bar() + "\n";
  for (const std::string& note : diagnostic.notes) {
    AppendNote("note", note, painter, gutter, out);
  }
  if (!diagnostic.help.empty()) {
    AppendNote("help", diagnostic.help, painter, gutter, out);
  }
  return out;
}

std::string RenderText(std::span<const Diagnostic> diagnostics, const SourceMap& sources,
                       const RenderOptions& options) {
  if (diagnostics.empty()) return "";
  std::string out;
  int64_t errors = 0;
  for (const Diagnostic& diagnostic : diagnostics) {
    errors += Info(diagnostic.kind).severity == Severity::kError ? 1 : 0;
    out += RenderText(diagnostic, sources, options) + "\n";
  }
  const int64_t warnings = static_cast<int64_t>(diagnostics.size()) - errors;
  if (errors > 0) out += Plural(errors, "error");
  if (errors > 0 && warnings > 0) out += ", ";
  if (warnings > 0) out += Plural(warnings, "warning");
  return out + "\n";
}

}  // namespace ckmap
