// Bounds first, then the tokens, then the grammar. ANTLR recurses over the input and its speed depends on
// how it predicts, so: the text's size, the number of tokens and the depth of nesting are limited
// before its parser runs; the fast way of predicting is tried first, and only a file with a mistake
// (or one that needs the full way) is read a second time.
#include "compiler/syntax/parser.h"

#include <antlr4-runtime.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "CkmapLexer.h"
#include "CkmapParser.h"
#include "compiler/source/own_stack.h"
#include "compiler/syntax/antlr_errors.h"
#include "compiler/syntax/antlr_input.h"
#include "compiler/syntax/ast_builder.h"
#include "compiler/syntax/tokens.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

using grammar::CkmapLexer;
using grammar::CkmapParser;

constexpr size_t kMaxFileBytes = size_t{8} << 20;
constexpr size_t kMaxTokens = 500'000;
constexpr size_t kMaxNesting = 200;  // brackets and operators
constexpr size_t kMaxBlocks = 50;    // braces
constexpr size_t kMaxErrors = 100;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

uint32_t Offset(size_t offset) { return static_cast<uint32_t>(offset); }

// Reads all tokens of a text, and stops at a limit.
class TokenReader {
 public:
  explicit TokenReader(std::string_view text)
      : input_(text, text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0), lexer_(&input_) {
    lexer_.removeErrorListeners();
  }
  // False if there are more than the limit.
  bool Read() {
    do {
      if (tokens_.size() >= kMaxTokens) return false;
      tokens_.push_back(lexer_.nextToken());
    } while (tokens_.back()->getType() != antlr4::Token::EOF);
    return true;
  }
  std::vector<std::unique_ptr<antlr4::Token>>& tokens() { return tokens_; }

 private:
  ByteStream input_;
  CkmapLexer lexer_;
  std::vector<std::unique_ptr<antlr4::Token>> tokens_;
};

// ---- what is checked on the text and the tokens --------------------------------------------------

// One diagnostic for a file that is no text at all: the rest would be noise.
bool CheckText(const SourceFile& file, FileId id, DiagnosticSink& sink) {
  const std::string_view text = file.text();
  if (text.size() > kMaxFileBytes) {
    sink.Report(DiagnosticKind::kFileTooLarge, {id, 0, 0},
                fmt::format("this file has {}, the limit is {}", FormatBytes(static_cast<int64_t>(text.size())),
                            FormatBytes(static_cast<int64_t>(kMaxFileBytes))))
        .Help("split it, and bring the parts together with `use`")
        .Emit();
    return false;
  }
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    sink.Report(DiagnosticKind::kNotText, {id, 0, 2}, "this file is UTF-16 text, expected UTF-8")
        .Help("save it as UTF-8")
        .Emit();
    return false;
  }
  for (size_t i = 0; i < text.size();) {
    char32_t code = 0;
    const size_t length = DecodeUtf8(text, i, code);
    if (length == 0) {
      sink.Report(DiagnosticKind::kNotText, {id, Offset(i), Offset(i + 1)},
                  fmt::format("byte 0x{:02x} is no UTF-8", static_cast<unsigned char>(text[i])))
          .Help("save the file as UTF-8")
          .Emit();
      return false;
    }
    const bool steers =
        IsInvisible(code) && code != '\n' && code != '\r' && code != '\t' && !(code == 0xfeff && i == 0);
    if (steers) {
      sink.Report(DiagnosticKind::kNotText, {id, Offset(i), Offset(i + length)},
                  fmt::format("invisible character U+{:04X}", static_cast<uint32_t>(code)))
          .Help("remove it: a reader would not see it")
          .Emit();
      return false;
    }
    i += length;
  }
  return true;
}

struct CharacterHint {
  std::string_view text;
  std::string_view help;
};
constexpr std::array<CharacterHint, 13> kCharacterHints = {{
    {"“", "use straight quotes: `\"`"},
    {"”", "use straight quotes: `\"`"},
    {"‘", "names and texts stand in straight double quotes: `\"`"},
    {"’", "names and texts stand in straight double quotes: `\"`"},
    {"'", "names and texts stand in double quotes: `\"`"},
    {"`", "names and texts stand in double quotes: `\"`"},
    {"→", "write `->`"},
    {"↔", "write `<->`"},
    {"×", "write `*`"},
    {"…", "write `...`"},
    {"!", "write `not`"},
    {"&", "write `and`"},
    {"\xc2\xa0", "use a plain space"},
}};

class TokenCheck {
 public:
  TokenCheck(const SourceFile& file, FileId id, DiagnosticSink& sink) : file_(file), id_(id), sink_(sink) {}

  // False: nothing more can be said about this file. `bad` gets the indices of reported tokens.
  bool Run(const std::vector<std::unique_ptr<antlr4::Token>>& tokens, std::vector<size_t>& bad) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      const antlr4::Token& token = *tokens[i];
      const size_t type = token.getType();
      if (type == CkmapLexer::UNKNOWN) {
        bad.push_back(i);
        if (std::exchange(character_line_, token.getLine()) != token.getLine()) ReportCharacter(token);
      } else if (type == CkmapLexer::UNTERMINATED_STRING || type == CkmapLexer::UNTERMINATED_REGEX) {
        bad.push_back(i);
        ReportUnterminated(token);
      } else if (token.getChannel() == antlr4::Token::DEFAULT_CHANNEL && !Nest(token)) {
        return false;
      }
    }
    return CheckEdition(tokens);
  }

 private:
  Span At(const antlr4::Token& token) const { return TokenSpan(&token, id_, file_); }

  // The first one of a line: the others are often of the same kind.
  void ReportCharacter(const antlr4::Token& token) {
    Span span = At(token);
    char32_t code = 0;
    const size_t length = DecodeUtf8(file_.text(), span.begin, code);
    span.end = std::min(span.end, span.begin + Offset(std::max<size_t>(length, 1)));
    const std::string_view character = file_.text().substr(span.begin, span.end - span.begin);
    std::string help;
    for (const CharacterHint& hint : kCharacterHints) {
      if (character == hint.text) help = hint.help;
    }
    if (help.empty() && character.size() > 1) help = "names with other letters than a-z are quoted";
    sink_
        .Report(DiagnosticKind::kUnexpectedCharacter, span,
                fmt::format("unexpected character `{}`", EscapeText(character)))
        .Help(std::move(help))
        .Emit();
  }

  void ReportUnterminated(const antlr4::Token& token) {
    const bool regex = token.getType() == CkmapLexer::UNTERMINATED_REGEX;
    const Span span = At(token);
    sink_
        .Report(DiagnosticKind::kUnterminatedString, {id_, span.begin, span.begin + 1},
                regex ? "this regular expression has no closing `/`" : "this text has no closing `\"`")
        .Help(regex ? "it ends on its line; a `/` in it is written `\\/`"
                    : "a text ends on the line where it starts; a quote in it is written `\\\"`")
        .Emit();
  }

  // Depth of what the grammar recurses on: brackets, and the operators of one expression.
  bool Nest(const antlr4::Token& token) {
    switch (token.getType()) {
      case CkmapLexer::LPAREN:
      case CkmapLexer::LBRACK:
      case CkmapLexer::LBRACE:
        open_.push_back(operators_);
        ++depth_;
        operators_ = 0;
        break;
      case CkmapLexer::RPAREN:
      case CkmapLexer::RBRACK:
      case CkmapLexer::RBRACE:
        depth_ -= operators_;
        operators_ = 0;
        if (open_.empty()) break;
        operators_ = open_.back();
        open_.pop_back();
        --depth_;
        if (token.getType() == CkmapLexer::RBRACE) Forget();
        break;
      case CkmapLexer::COMMA:
      case CkmapLexer::SEMI:
        Forget();
        break;
      case CkmapLexer::EQ:
      case CkmapLexer::NE:
      case CkmapLexer::LE:
      case CkmapLexer::GE:
      case CkmapLexer::LT:
      case CkmapLexer::GT:
      case CkmapLexer::PLUS:
      case CkmapLexer::MINUS:
      case CkmapLexer::STAR:
      case CkmapLexer::SLASH:
      case CkmapLexer::FLOOR:
      case CkmapLexer::PERCENT:
      case CkmapLexer::AND:
      case CkmapLexer::OR:
      case CkmapLexer::NOT:
      case CkmapLexer::IF:
        ++operators_;
        ++depth_;
        break;
      default:
        break;
    }
    if (token.getType() == CkmapLexer::LBRACE) ++blocks_;
    if (token.getType() == CkmapLexer::RBRACE && blocks_ > 0) --blocks_;
    if (depth_ <= kMaxNesting && blocks_ <= kMaxBlocks) return true;
    const bool blocks = blocks_ > kMaxBlocks;
    sink_
        .Report(DiagnosticKind::kNestingTooDeep, At(token),
                blocks ? fmt::format("more than {} blocks inside of each other", kMaxBlocks)
                       : fmt::format("more than {} levels of brackets and operators", kMaxNesting))
        .Help(blocks ? "join the prefixes of nested `within` blocks" : "name a part of it with `let`")
        .Emit();
    return false;
  }
  void Forget() {
    depth_ -= operators_;
    operators_ = 0;
  }

  // A file of another edition may have another syntax: nothing else is said about it.
  bool CheckEdition(const std::vector<std::unique_ptr<antlr4::Token>>& tokens) {
    std::array<const antlr4::Token*, 2> first{};
    size_t found = 0;
    for (size_t i = 0; i < tokens.size() && found < first.size(); ++i) {
      if (tokens[i]->getChannel() == antlr4::Token::DEFAULT_CHANNEL) first[found++] = tokens[i].get();
    }
    if (found < 2 || first[0]->getType() != CkmapLexer::CKMAP) return true;
    const size_t type = first[1]->getType();
    if (type != CkmapLexer::INT && type != CkmapLexer::NUMBER && type != CkmapLexer::VERSION) {
      return true;
    }
    const Span span = At(*first[1]);
    const std::string_view text = file_.text().substr(span.begin, span.end - span.begin);
    if (text == "1") return true;
    sink_
        .Report(DiagnosticKind::kUnknownEdition, span,
                fmt::format("edition {} of the language is not known", text.size() > 40 ? text.substr(0, 40) : text))
        .Note("this compiler reads edition 1")
        .Help("write `ckmap 1;`, or use a newer ckmapc")
        .Suggest({"write `1`", {{span, "1"}}})
        .Emit();
    return false;
  }

  const SourceFile& file_;
  FileId id_;
  DiagnosticSink& sink_;
  std::vector<size_t> open_;
  size_t operators_ = 0;  // of the expression that is being read, in the innermost bracket
  size_t depth_ = 0;
  size_t blocks_ = 0;
  size_t character_line_ = 0;
};

// ---- the grammar ---------------------------------------------------------------------------------

ast::File ParseTokens(std::vector<std::unique_ptr<antlr4::Token>> list, std::vector<size_t> bad, const SourceFile& file,
                      FileId id, DiagnosticSink& sink) {
  antlr4::ListTokenSource source(std::move(list));
  antlr4::CommonTokenStream tokens(&source);
  tokens.fill();
  CkmapParser parser(&tokens);
  parser.removeErrorListeners();
  auto* predictor = parser.getInterpreter<antlr4::atn::ParserATNSimulator>();
  if (bad.empty()) {
    parser.setErrorHandler(std::make_shared<GiveUpStrategy>());
    predictor->setPredictionMode(antlr4::atn::PredictionMode::SLL);
    try {
      return BuildFile(*parser.file(), tokens, file, id, sink);
    } catch (const antlr4::ParseCancellationException&) {
      parser.reset();
      tokens.seek(0);
    }
  }
  parser.setErrorHandler(std::make_shared<ReportingStrategy>(file, id, std::move(bad), sink));
  predictor->setPredictionMode(antlr4::atn::PredictionMode::LL);
  return BuildFile(*parser.file(), tokens, file, id, sink);
}

ast::File ParseBounded(const SourceFile& file, FileId id, DiagnosticSink& sink) {
  if (!CheckText(file, id, sink)) return {};
  TokenReader reader(file.text());
  if (!reader.Read()) {
    const Span span = TokenSpan(reader.tokens().back().get(), id, file);
    sink.Report(
            DiagnosticKind::kFileTooLarge, span,
            fmt::format("this file has more than {} words and signs", FormatCount(static_cast<int64_t>(kMaxTokens))))
        .Help("split it, and bring the parts together with `use`")
        .Emit();
    return {};
  }
  std::vector<size_t> bad;
  if (!TokenCheck(file, id, sink).Run(reader.tokens(), bad)) return {};
  return ParseTokens(std::move(reader.tokens()), std::move(bad), file, id, sink);
}

TokenKind KindOf(size_t type) {
  if (type >= CkmapLexer::MIGRATION && type <= CkmapLexer::FALSE) return TokenKind::kKeyword;
  if (type >= CkmapLexer::CKMAP && type <= CkmapLexer::FOR) return TokenKind::kWord;
  switch (type) {
    case CkmapLexer::IDENT:
    case CkmapLexer::UNDERSCORE:
      return TokenKind::kWord;
    case CkmapLexer::DOTTED:
      return TokenKind::kDotted;
    case CkmapLexer::INT:
    case CkmapLexer::NUMBER:
    case CkmapLexer::VERSION:
      return TokenKind::kNumber;
    case CkmapLexer::STRING:
      return TokenKind::kText;
    case CkmapLexer::REGEX:
      return TokenKind::kRegex;
    case CkmapLexer::COMMENT:
      return TokenKind::kComment;
    case CkmapLexer::DOC:
      return TokenKind::kDoc;
    case CkmapLexer::UNTERMINATED_STRING:
    case CkmapLexer::UNTERMINATED_REGEX:
    case CkmapLexer::UNKNOWN:
      return TokenKind::kBad;
    default:
      return TokenKind::kSymbol;
  }
}

}  // namespace

ast::File Parse(const SourceFile& file, FileId id, DiagnosticSink& sink) {
  DiagnosticSink found;
  ast::File result;
  try {
    RunOnOwnStack([&] { result = ParseBounded(file, id, found); });
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    found.Report(DiagnosticKind::kExpectedToken, {id, 0, 0}, fmt::format("this file cannot be read: {}", error.what()))
        .Emit();
  }
  size_t errors = 0;
  size_t hidden = 0;
  for (Diagnostic& diagnostic : found.Sorted()) {
    const bool error = Info(diagnostic.kind).severity == Severity::kError;
    if (error && ++errors > kMaxErrors) {
      ++hidden;
      continue;
    }
    sink.Add(std::move(diagnostic));
  }
  if (hidden > 0) {
    const auto end = static_cast<uint32_t>(file.text().size());
    sink.Report(DiagnosticKind::kTooManyErrors, {id, end, end},
                fmt::format("and {} in this file", Plural(static_cast<int64_t>(hidden), "more error")))
        .Emit();
  }
  return result;
}

std::vector<Token> Tokenize(const SourceFile& file, FileId id) {
  std::vector<Token> tokens;
  TokenReader reader(file.text());
  reader.Read();
  for (const auto& token : reader.tokens()) {
    if (token->getType() == antlr4::Token::EOF) break;
    tokens.push_back({KindOf(token->getType()), TokenSpan(token.get(), id, file)});
  }
  return tokens;
}

LanguageWords Words() {
  ByteStream input("", 0);
  CkmapLexer lexer(&input);
  LanguageWords words;
  for (size_t type = CkmapLexer::MIGRATION; type <= CkmapLexer::FOR; ++type) {
    const std::string literal = lexer.getVocabulary().getLiteralName(type);
    (type <= CkmapLexer::FALSE ? words.reserved : words.special).push_back(literal.substr(1, literal.size() - 2));
  }
  return words;
}

}  // namespace ckmap
