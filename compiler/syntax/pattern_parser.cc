#include "compiler/syntax/pattern_parser.h"

#include <charconv>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

bool IsNameStart(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool IsNameChar(char c) { return IsNameStart(c) || IsDigit(c); }

constexpr int kMaxHoleDepth = 50;      // nested parentheses and signs in a hole
constexpr int kMaxHoleOperators = 50;  // in one hole

// Reports the first mistake only: one broken literal is one problem.
class Reporter {
 public:
  Reporter(FileId file, DiagnosticSink* sink) : file_(file), sink_(sink) {}
  void Fail(DiagnosticKind kind, size_t begin, size_t end, std::string message, std::string help = "") {
    if (!failed_ && sink_ != nullptr) {
      sink_->Report(kind, At(begin, end), std::move(message)).Help(std::move(help)).Emit();
    }
    failed_ = true;
  }
  Span At(size_t begin, size_t end) const { return {file_, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)}; }
  bool failed() const { return failed_; }

 private:
  FileId file_;
  DiagnosticSink* sink_;
  bool failed_ = false;
};

// Capture arithmetic by precedence climbing over text[begin, end).
class HoleExpression {
 public:
  HoleExpression(std::string_view text, size_t begin, size_t end, Reporter& reporter)
      : text_(text), begin_(begin), at_(begin), end_(end), reporter_(reporter) {}

  ast::ExprPtr Parse() {
    ast::ExprPtr expr = Sum(0);
    Skip();
    if (at_ < end_) Unexpected();
    return reporter_.failed() ? nullptr : std::move(expr);
  }

 private:
  void Skip() {
    while (at_ < end_ && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }

  void Unexpected() {
    Skip();
    const size_t at = std::min(at_, end_);
    reporter_.Fail(
        DiagnosticKind::kPatternSyntax, at < end_ ? at : begin_ - 1, at < end_ ? at + 1 : end_ + 1,
        at < end_ ? fmt::format("unexpected `{}` in a hole", text_.substr(at, 1)) : "a value is missing in a hole",
        "a hole holds a capture like `{i}` or `{i:int}`, alternatives like `{q,k,v}`, or "
        "arithmetic like `{2*i+1}`; a brace itself is written `{{`");
  }

  ast::ExprPtr Make(decltype(ast::Expr::kind) kind, size_t begin, size_t end) {
    return std::make_unique<ast::Expr>(ast::Expr{std::move(kind), reporter_.At(begin, end)});
  }

  std::string Operator(bool product) {
    Skip();
    if (at_ >= end_) return "";
    const char c = text_[at_];
    if (product) {
      if (c == '/' && at_ + 1 < end_ && text_[at_ + 1] == '/') return "//";
      return c == '*' || c == '/' || c == '%' ? std::string(1, c) : "";
    }
    return c == '+' || c == '-' ? std::string(1, c) : "";
  }

  template <typename Next>
  ast::ExprPtr Chain(bool product, Next next) {
    ast::ExprPtr left = next();
    while (left != nullptr) {
      std::string op = Operator(product);
      if (op.empty()) return left;
      if (++operators_ > kMaxHoleOperators) return TooLong();
      at_ += op.size();
      ast::ExprPtr right = next();
      if (right == nullptr) return nullptr;
      const size_t begin = left->span.begin;
      const size_t end = right->span.end;
      left = Make(ast::Binary{std::move(op), std::move(left), std::move(right)}, begin, end);
    }
    return left;
  }
  ast::ExprPtr Sum(int depth) {
    return Chain(false, [&] { return Chain(true, [&] { return Factor(depth); }); });
  }

  ast::ExprPtr TooLong() {
    reporter_.Fail(DiagnosticKind::kNestingTooDeep, begin_, end_, "this hole is too long");
    return nullptr;
  }

  ast::ExprPtr Factor(int depth) {
    Skip();
    if (depth > kMaxHoleDepth) return TooLong();
    const size_t begin = at_;
    if (at_ >= end_) {
      Unexpected();
      return nullptr;
    }
    if (text_[at_] == '-') {
      ++at_;
      ast::ExprPtr operand = Factor(depth + 1);
      if (operand == nullptr) return nullptr;
      const size_t end = operand->span.end;
      return Make(ast::Unary{"-", std::move(operand)}, begin, end);
    }
    if (text_[at_] == '(') {
      ++at_;
      ast::ExprPtr inner = Sum(depth + 1);
      Skip();
      if (inner == nullptr) return nullptr;
      if (at_ >= end_ || text_[at_] != ')') {
        Unexpected();
        return nullptr;
      }
      ++at_;
      return inner;
    }
    if (IsDigit(text_[at_])) return Number();
    if (!IsNameStart(text_[at_])) {
      Unexpected();
      return nullptr;
    }
    while (at_ < end_ && IsNameChar(text_[at_])) ++at_;
    return Make(ast::NameRef{std::string(text_.substr(begin, at_ - begin))}, begin, at_);
  }

  ast::ExprPtr Number() {
    const size_t begin = at_;
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + end_, value);
    at_ = static_cast<size_t>(end - text_.data());
    if (error != std::errc()) {
      reporter_.Fail(DiagnosticKind::kBadNumber, begin, at_, "this integer needs more than 63 bits");
      return nullptr;
    }
    return Make(ast::IntLiteral{value}, begin, at_);
  }

  std::string_view text_;
  size_t begin_;
  size_t at_;
  size_t end_;
  int operators_ = 0;
  Reporter& reporter_;
};

class PatternReader {
 public:
  PatternReader(std::string_view text, size_t begin, size_t end, Reporter& reporter)
      : text_(text), at_(begin), end_(end), literal_begin_(begin), reporter_(reporter) {}

  std::vector<ast::PatternPart> Parse() {
    while (at_ < end_ && !reporter_.failed()) {
      switch (text_[at_]) {
        case '{':
          Pair('{') ? Literal(2, 1) : Hole();
          break;
        case '}':
          if (!Pair('}')) {
            reporter_.Fail(DiagnosticKind::kPatternSyntax, at_, at_ + 1, "`}` without its `{`",
                           "a brace itself is written `}}`");
          }
          Literal(2, 1);
          break;
        case '*':
          Wildcard();
          break;
        case '\\':
          Escape();
          break;
        default:
          Literal(1, 1);
      }
    }
    Flush();
    return std::move(parts_);
  }

 private:
  bool Pair(char c) const { return at_ + 1 < end_ && text_[at_ + 1] == c; }

  // `length` bytes of source give their first `kept` bytes of text.
  void Literal(size_t length, size_t kept) {
    if (literal_.empty()) literal_begin_ = at_;
    literal_ += text_.substr(at_, kept);
    at_ += length;
  }
  void Flush() {
    if (literal_.empty()) return;
    const Span span = reporter_.At(literal_begin_, at_);
    parts_.push_back({ast::LiteralPart{std::move(literal_)}, span});
    literal_.clear();
  }
  void Add(decltype(ast::PatternPart::kind) kind, size_t begin, size_t end) {
    parts_.push_back({std::move(kind), reporter_.At(begin, end)});
  }

  void Escape() {
    if (at_ + 1 < end_ && (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\')) {
      if (literal_.empty()) literal_begin_ = at_;
      ++at_;
      literal_ += text_[at_++];
      return;
    }
    reporter_.Fail(DiagnosticKind::kBadEscape, at_, std::min(at_ + 2, end_),
                   fmt::format("unknown escape `{}`", text_.substr(at_, std::min<size_t>(2, end_ - at_))),
                   "a backslash itself is written `\\\\`, a quote `\\\"`");
  }

  void Wildcard() {
    Flush();
    const size_t begin = at_;
    while (at_ < end_ && text_[at_] == '*') ++at_;
    const size_t count = at_ - begin;
    if (count > 2) {
      reporter_.Fail(DiagnosticKind::kPatternSyntax, begin, at_, fmt::format("{} stars in a row", count),
                     "`*` stands for text inside one segment, `**` for one segment or more");
    }
    Add(ast::WildcardPart{count == 2}, begin, at_);
  }

  void Hole() {
    Flush();
    const size_t open = at_;
    size_t begin = open + 1;
    while (begin < end_ && text_[begin] == ' ') ++begin;
    size_t name_end = begin;
    while (name_end < end_ && IsNameChar(text_[name_end])) ++name_end;
    size_t after = name_end;
    while (after < end_ && text_[after] == ' ') ++after;
    const bool named = name_end > begin && IsNameStart(text_[begin]);
    if (named && after < end_ && text_[after] == ':') {
      KindHole(open, begin, name_end, after + 1);
      return;
    }
    const size_t close = text_.substr(0, end_).find_first_of("{}", open + 1);
    if (close == std::string_view::npos || text_[close] == '{') {
      Unclosed(open, close);
      return;
    }
    at_ = close + 1;
    if (named && after == close) {
      ast::CapturePart capture;
      capture.name = {std::string(text_.substr(begin, name_end - begin)), reporter_.At(begin, name_end)};
      Add(std::move(capture), open, at_);
    } else if (text_.substr(open, close - open).find(',') != std::string_view::npos) {
      Alternatives(open, close);
    } else {
      ExpressionHole(open, close);
    }
  }

  void Unclosed(size_t open, size_t inner) {
    if (inner == std::string_view::npos) {
      reporter_.Fail(DiagnosticKind::kPatternSyntax, open, open + 1, "`{` without its `}`",
                     "a brace itself is written `{{`");
    } else {
      reporter_.Fail(DiagnosticKind::kPatternSyntax, inner, inner + 1, "`{` inside a hole",
                     "holes do not nest; a brace itself is written `{{`");
    }
    at_ = end_;
  }

  void ExpressionHole(size_t open, size_t close) {
    if (text_.substr(open + 1, close - open - 1).find_first_not_of(' ') == std::string_view::npos) {
      reporter_.Fail(DiagnosticKind::kPatternSyntax, open, close + 1, "empty hole",
                     "name what stands here, as in `{i}`, or write `*`; the text `{}` itself is "
                     "written `{{}}`");
      return;
    }
    if (text_.substr(open, close - open).ends_with("...")) {
      reporter_.Fail(DiagnosticKind::kPatternSyntax, open, close + 1, "a gathered capture without its kind",
                     "numbers are gathered, in order: `{e:int...}`");
      return;
    }
    ast::ExprPtr expr = HoleExpression(text_, open + 1, close, reporter_).Parse();
    if (expr != nullptr) Add(ast::ExprPart{std::move(expr)}, open, close + 1);
  }

  void Alternatives(size_t open, size_t close) {
    ast::AlternativesPart part;
    size_t begin = open + 1;
    while (true) {
      const size_t end = std::min(text_.find(',', begin), close);
      std::string_view option = text_.substr(begin, end - begin);
      while (option.starts_with(' ')) option.remove_prefix(1);
      while (option.ends_with(' ')) option.remove_suffix(1);
      if (option.find_first_of("*|\\:") != std::string_view::npos) {
        reporter_.Fail(DiagnosticKind::kPatternSyntax, begin, end, fmt::format("`{}` is no plain text", option),
                       "alternatives are plain texts: `{q,k,v}`");
        return;
      }
      part.options.emplace_back(option);
      if (end == close) break;
      begin = end + 1;
    }
    Add(std::move(part), open, close + 1);
  }

  // `{name:` has been read; `at` is what follows.
  void KindHole(size_t open, size_t name_begin, size_t name_end, size_t at) {
    ast::CapturePart capture;
    capture.name = {std::string(text_.substr(name_begin, name_end - name_begin)), reporter_.At(name_begin, name_end)};
    while (at < end_ && text_[at] == ' ') ++at;
    if (at < end_ && text_[at] == '/') {
      RegexHole(open, at, std::move(capture));
      return;
    }
    const size_t close = text_.substr(0, end_).find_first_of("{}", at);
    if (close == std::string_view::npos || text_[close] == '{') {
      Unclosed(open, close);
      return;
    }
    at_ = close + 1;
    std::string_view kind = text_.substr(at, close - at);
    while (kind.ends_with(' ')) kind.remove_suffix(1);
    if (kind == "int" || kind == "int...") {
      capture.kind = ast::CapturePart::Kind::kInt;
      capture.gather = kind != "int";
    } else if (kind == "path") {
      capture.kind = ast::CapturePart::Kind::kPath;
    } else if (kind.find('|') != std::string_view::npos) {
      capture.kind = ast::CapturePart::Kind::kChoice;
      if (!Choices(at, close, capture)) return;
    } else {
      reporter_.Fail(DiagnosticKind::kPatternSyntax, at, std::max(close, at + 1),
                     fmt::format("`{}` is no kind of capture", kind),
                     "kinds are `int`, `path`, `a|b|c` and `/regex/`; without one, `{name}` is text "
                     "inside one segment");
      return;
    }
    Add(std::move(capture), open, at_);
  }

  bool Choices(size_t begin, size_t close, ast::CapturePart& capture) {
    while (true) {
      const size_t end = std::min(text_.find('|', begin), close);
      std::string_view choice = text_.substr(begin, end - begin);
      while (choice.starts_with(' ')) choice.remove_prefix(1);
      while (choice.ends_with(' ')) choice.remove_suffix(1);
      if (choice.empty() || choice.find_first_of("*,\\:") != std::string_view::npos) {
        reporter_.Fail(DiagnosticKind::kPatternSyntax, begin, std::max(end, begin + 1),
                       choice.empty() ? "a choice is empty" : fmt::format("`{}` is no plain text", choice),
                       "choices are plain texts: `{p:q|k|v}`");
        return false;
      }
      capture.choices.emplace_back(choice);
      if (end == close) return true;
      begin = end + 1;
    }
  }

  void RegexHole(size_t open, size_t slash, ast::CapturePart capture) {
    size_t end = slash + 1;
    std::string regex;
    for (; end < end_ && text_[end] != '/'; ++end) {
      if (text_[end] == '\\' && end + 1 < end_) {
        ++end;
        if (text_[end] != '/') regex += '\\';
      }
      regex += text_[end];
    }
    if (end + 1 >= end_ || text_[end + 1] != '}') {
      reporter_.Fail(DiagnosticKind::kPatternSyntax, slash, slash + 1, "a regular expression without its end",
                     "it ends with `/}`; a `/` in it is written `\\/`");
      return;
    }
    if (regex.empty()) {
      reporter_.Fail(DiagnosticKind::kPatternSyntax, slash, end + 1, "empty regular expression");
      return;
    }
    capture.kind = ast::CapturePart::Kind::kRegex;
    capture.regex = std::move(regex);
    at_ = end + 2;
    Add(std::move(capture), open, at_);
  }

  std::string_view text_;
  size_t at_;
  size_t end_;
  size_t literal_begin_;
  std::string literal_;
  std::vector<ast::PatternPart> parts_;
  Reporter& reporter_;
};

std::string Between(const SourceFile& file, Span span) {
  return std::string(file.text().substr(span.begin + 1, span.end - span.begin - 2));
}

}  // namespace

ast::Pattern ParseQuotedPattern(const SourceFile& file, Span span, DiagnosticSink* sink) {
  Reporter reporter(span.file, sink);
  ast::Pattern pattern;
  pattern.text = Between(file, span);
  pattern.span = span;
  pattern.parts = PatternReader(file.text(), span.begin + 1, span.end - 1, reporter).Parse();
  pattern.invalid = reporter.failed();
  return pattern;
}

ast::Pattern ParseRegexPattern(const SourceFile& file, Span span, DiagnosticSink& sink) {
  Reporter reporter(span.file, &sink);
  ast::Pattern pattern;
  pattern.text = Between(file, span);
  pattern.span = span;
  std::string& regex = pattern.regex;
  bool anchored = false;  // the last character is a `$` that no backslash precedes
  for (size_t i = 1; i < pattern.text.size(); ++i) {
    const bool escaped = pattern.text[i] == '\\' && i + 1 < pattern.text.size();
    if (escaped) ++i;
    anchored = !escaped && pattern.text[i] == '$';
    if (escaped && pattern.text[i] != '/') regex += '\\';
    regex += pattern.text[i];
  }
  if (!anchored) {
    reporter.Fail(DiagnosticKind::kPatternSyntax, span.end - 1, span.end,
                  "a regular expression that does not end with `$`",
                  "it stands for the whole name: write `/^…$/`, with `.*` for a rest");
  } else {
    regex.pop_back();
  }
  pattern.regex_span = {span.file, span.begin + 2, span.end - (anchored ? 2U : 1U)};
  pattern.invalid = reporter.failed();
  return pattern;
}

ast::Pattern BarePattern(const SourceFile& file, Span span) {
  ast::Pattern pattern;
  pattern.text = std::string(file.text().substr(span.begin, span.end - span.begin));
  pattern.span = span;
  pattern.parts.push_back({ast::LiteralPart{pattern.text}, span});
  return pattern;
}

std::string ParseText(const SourceFile& file, Span span, DiagnosticSink* sink) {
  Reporter reporter(span.file, sink);
  std::string out;
  const std::string_view text = file.text();
  for (size_t i = span.begin + 1; i + 1 < span.end; ++i) {
    if (text[i] == '\\' && i + 2 < span.end) {
      if (text[i + 1] == '"' || text[i + 1] == '\\') {
        ++i;
      } else {
        reporter.Fail(DiagnosticKind::kBadEscape, i, i + 2, fmt::format("unknown escape `{}`", text.substr(i, 2)),
                      "a backslash itself is written `\\\\`, a quote `\\\"`");
      }
    }
    out += text[i];
  }
  return out;
}

}  // namespace ckmap
