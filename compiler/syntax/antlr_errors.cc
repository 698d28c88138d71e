#include "compiler/syntax/antlr_errors.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "CkmapLexer.h"
#include "CkmapParser.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

using antlr4::Parser;
using antlr4::ParserRuleContext;
using grammar::CkmapLexer;
using grammar::CkmapParser;

constexpr size_t kEnd = antlr4::Token::EOF;

bool IsKeyword(size_t type) { return type >= CkmapLexer::MIGRATION && type <= CkmapLexer::FALSE; }
bool StartsStatement(size_t type) { return type >= CkmapLexer::MIGRATION && type <= CkmapLexer::OVERRIDE; }
bool IsArrow(size_t type) { return type == CkmapLexer::ARROW || type == CkmapLexer::BIARROW; }
bool IsUnterminated(size_t type) {
  return type == CkmapLexer::UNTERMINATED_STRING || type == CkmapLexer::UNTERMINATED_REGEX;
}
bool IsWord(size_t type) { return type == CkmapLexer::IDENT || (type >= CkmapLexer::CKMAP && type <= CkmapLexer::FOR); }

// Where reading goes on after a mistake inside.
bool IsSyncRule(size_t rule) {
  return rule == CkmapParser::RuleStatement || rule == CkmapParser::RuleRenamePair ||
         rule == CkmapParser::RuleTargetItem || rule == CkmapParser::RuleTestItem ||
         rule == CkmapParser::RuleTestTensor;
}
bool IsBlockRule(size_t rule) {
  return rule == CkmapParser::RuleLayer || rule == CkmapParser::RuleWithin || rule == CkmapParser::RuleRename ||
         rule == CkmapParser::RuleTarget || rule == CkmapParser::RuleTest || rule == CkmapParser::RuleTestSide;
}

template <typename Predicate>
const ParserRuleContext* Enclosing(const ParserRuleContext* context, Predicate predicate) {
  while (context != nullptr && !predicate(context->getRuleIndex())) {
    context = dynamic_cast<const ParserRuleContext*>(context->parent);
  }
  return context;
}
bool Within(const ParserRuleContext* context, size_t rule) {
  return Enclosing(context, [rule](size_t index) { return index == rule; }) != nullptr;
}

// "a, b or c".
std::string List(const std::vector<std::string>& items) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    out += (i == 0 ? "" : i + 1 == items.size() ? " or " : ", ") + items[i];
  }
  return out;
}

// What could stand here, for people: groups of tokens under one name, then single ones.
std::string Expectation(const antlr4::misc::IntervalSet& expected, const antlr4::dfa::Vocabulary& vocabulary) {
  const auto has = [&](size_t type) { return expected.contains(type); };
  if (has(CkmapLexer::RENAME) && has(CkmapLexer::DROP)) {
    return has(CkmapLexer::RBRACE) ? "a statement or `}`" : "a statement";
  }
  std::vector<std::string> items;
  const bool expression = has(CkmapLexer::NOT) && has(CkmapLexer::IF);
  const bool pattern = !expression && has(CkmapLexer::DOTTED) && has(CkmapLexer::STRING);
  const bool word = !expression && !pattern && has(CkmapLexer::IDENT);
  const bool operators = has(CkmapLexer::PERCENT) && has(CkmapLexer::OR);
  if (expression) items.emplace_back("an expression");
  if (pattern) items.emplace_back("a tensor name");
  if (word) items.emplace_back("a name");
  if (operators) items.emplace_back("an operator");
  for (const ssize_t entry : expected.toList()) {
    const auto type = static_cast<size_t>(entry);
    const bool any_word = has(CkmapLexer::IDENT) && IsWord(type);
    if (entry < 0 || type == kEnd || any_word || type == CkmapLexer::DOTTED) continue;
    const bool in_expression = type == CkmapLexer::NOT || type == CkmapLexer::IF || type == CkmapLexer::TRUE ||
                               type == CkmapLexer::FALSE || type == CkmapLexer::INT || type == CkmapLexer::NUMBER ||
                               type == CkmapLexer::STRING || type == CkmapLexer::LPAREN || type == CkmapLexer::LBRACK ||
                               type == CkmapLexer::MINUS;
    if (expression && in_expression) continue;
    if (pattern && (type == CkmapLexer::STRING || type == CkmapLexer::REGEX)) continue;
    const bool is_operator = (type >= CkmapLexer::EQ && type <= CkmapLexer::PERCENT && type != CkmapLexer::ASSIGN) ||
                             type == CkmapLexer::AND || type == CkmapLexer::OR;
    if (operators && is_operator) continue;
    const std::string literal = vocabulary.getLiteralName(type);
    if (literal.size() > 2) {
      items.push_back("`" + literal.substr(1, literal.size() - 2) + "`");
    } else if (type == CkmapLexer::STRING) {
      items.emplace_back("a text in quotes");
    } else if (type == CkmapLexer::INT) {
      items.emplace_back("an integer");
    } else if (type == CkmapLexer::NUMBER || type == CkmapLexer::VERSION) {
      items.emplace_back("a number");
    }
  }
  items.erase(std::unique(items.begin(), items.end()), items.end());
  if (items.empty()) items.emplace_back("something else");
  return List(items);
}

// Words of other languages, and slips of the pen, at the start of a statement.
std::string_view MeantStatement(std::string_view word) {
  constexpr std::array<std::array<std::string_view, 2>, 17> kAliases = {{
      {"import", "use"},
      {"include", "use"},
      {"require", "use"},
      {"const", "let"},
      {"var", "let"},
      {"def", "let"},
      {"params", "param"},
      {"parameter", "param"},
      {"ignore", "drop"},
      {"skip", "drop"},
      {"remove", "drop"},
      {"delete", "drop"},
      {"keep", "init"},
      {"renames", "rename"},
      {"layers", "layer"},
      {"modules", "module"},
      {"device", "place"},
  }};
  for (const auto& [alias, keyword] : kAliases) {
    if (alias == word) return keyword;
  }
  return "";
}

}  // namespace

antlr4::Token* GiveUpStrategy::recoverInline(Parser*) { throw antlr4::ParseCancellationException("mistake"); }
void GiveUpStrategy::recover(Parser*, std::exception_ptr) { throw antlr4::ParseCancellationException("mistake"); }

Span TokenSpan(const antlr4::Token* token, FileId file, const SourceFile& source) {
  const auto size = static_cast<uint32_t>(source.text().size());
  if (token->getType() == kEnd) return {file, size, size};
  return {file, static_cast<uint32_t>(token->getStartIndex()), static_cast<uint32_t>(token->getStopIndex() + 1)};
}

Span ReportingStrategy::At(const antlr4::Token* token) const {
  if (token->getType() != kEnd) return TokenSpan(token, id_, file_);
  // The end of the file is shown behind its last visible character.
  const size_t last = file_.text().find_last_not_of(" \t\r\n");
  const auto end = static_cast<uint32_t>(last == std::string_view::npos ? 0 : last + 1);
  return {id_, end, end};
}
Span ReportingStrategy::After(const antlr4::Token* token) const {
  const Span span = TokenSpan(token, id_, file_);
  return {id_, span.end, span.end};
}
std::string ReportingStrategy::Text(const antlr4::Token* token) const {
  const Span span = TokenSpan(token, id_, file_);
  std::string text(file_.text().substr(span.begin, span.end - span.begin));
  if (text.size() > 40) {
    text.resize(37);
    text += "…";
  }
  return EscapeText(text);
}

ReportingStrategy::Mistake ReportingStrategy::Describe(Parser* parser, antlr4::Token* found,
                                                       antlr4::misc::IntervalSet expected) const {
  Mistake mistake{parser, found, nullptr, std::move(expected), false};
  // `found` may lie ahead of the current position: the previous token is the one before it.
  auto* tokens = dynamic_cast<antlr4::BufferedTokenStream*>(parser->getTokenStream());
  for (size_t i = found->getTokenIndex(); i-- > 0;) {
    antlr4::Token* token = tokens->get(i);
    if (token->getChannel() == antlr4::Token::DEFAULT_CHANNEL) {
      mistake.previous = token;
      break;
    }
  }
  mistake.first_on_line = mistake.previous == nullptr || mistake.previous->getLine() < found->getLine();
  return mistake;
}

antlr4::Token* ReportingStrategy::recoverInline(Parser* parser) {
  if (!recovering_) {
    recovering_ = true;
    const Mistake mistake = Describe(parser, parser->getCurrentToken(), parser->getExpectedTokens());
    if (AlreadyReported(parser, mistake.found)) throw antlr4::InputMismatchException(parser);
    if (ReportMissingSemicolon(mistake)) {
      stay_ = false;
      auto made_up = std::make_unique<antlr4::CommonToken>(CkmapLexer::SEMI, ";");
      made_up->setTokenIndex(INVALID_INDEX);
      recovering_ = false;
      made_up_.push_back(std::move(made_up));
      return made_up_.back().get();
    }
    Report(mistake);
  }
  throw antlr4::InputMismatchException(parser);
}

void ReportingStrategy::reportError(Parser* parser, const antlr4::RecognitionException& error) {
  if (recovering_) return;
  recovering_ = true;
  antlr4::Token* found = error.getOffendingToken();
  if (AlreadyReported(parser, found)) return;
  antlr4::misc::IntervalSet expected = error.getExpectedTokens();
  // Where two tokens decide, the expected ones belong to the first of them.
  const auto* no_viable = dynamic_cast<const antlr4::NoViableAltException*>(&error);
  if (no_viable != nullptr && no_viable->getStartToken() != found) expected = {};
  Report(Describe(parser, found, std::move(expected)));
}

void ReportingStrategy::recover(Parser* parser, std::exception_ptr error) {
  const ParserRuleContext* context = parser->getContext();
  if (!IsSyncRule(context->getRuleIndex())) std::rethrow_exception(error);
  SkipStatement(parser, context->start->getTokenIndex());
  recovering_ = false;
}

// Called before each decision. Only at the loops over statements is anything done: what starts no
// statement there is reported and skipped, so that a block is not left before its `}`.
void ReportingStrategy::sync(Parser* parser) {
  if (recovering_) return;
  antlr4::atn::ATNState* state = parser->getATN().states[parser->getState()];
  const auto kind = state->getStateType();
  if (kind != antlr4::atn::ATNState::STAR_LOOP_ENTRY && kind != antlr4::atn::ATNState::STAR_LOOP_BACK) {
    return;
  }
  const size_t rule = parser->getContext()->getRuleIndex();
  if (rule != CkmapParser::RuleFile && !IsBlockRule(rule)) return;
  antlr4::misc::IntervalSet expected = parser->getATN().nextTokens(state);
  if (rule == CkmapParser::RuleFile) expected.remove(size_t{CkmapLexer::RBRACE});
  while (true) {
    antlr4::Token* token = parser->getCurrentToken();
    if (token->getType() == kEnd || expected.contains(token->getType())) return;
    if (token->getType() == CkmapLexer::SEMI) {
      parser->getTokenStream()->consume();  // an empty statement
      continue;
    }
    if (!AlreadyReported(parser, token)) Report(Describe(parser, token, expected));
    SkipStatement(parser, token->getTokenIndex());
  }
}

bool ReportingStrategy::AlreadyReported(Parser* parser, const antlr4::Token* found) const {
  const ParserRuleContext* statement = Enclosing(parser->getContext(), IsSyncRule);
  size_t start = found->getTokenIndex();
  if (statement != nullptr && statement->start != nullptr && !IsBlockRule(parser->getContext()->getRuleIndex())) {
    start = std::min(start, statement->start->getTokenIndex());
  }
  const auto first = std::lower_bound(bad_tokens_.begin(), bad_tokens_.end(), start);
  if (first == bad_tokens_.end()) return false;
  auto* tokens = dynamic_cast<antlr4::BufferedTokenStream*>(parser->getTokenStream());
  return *first <= found->getTokenIndex() || tokens->get(*first)->getLine() == found->getLine();
}

void ReportingStrategy::SkipStatement(Parser* parser, size_t start) {
  auto* tokens = parser->getTokenStream();
  if (std::exchange(stay_, false) && tokens->index() > start) return;
  const bool in_block = Enclosing(parser->getContext(), IsBlockRule) != nullptr;
  const bool one_line = std::exchange(skip_line_, false);
  size_t depth = 0;
  while (tokens->LA(1) != kEnd) {
    antlr4::Token* token = tokens->LT(1);
    const size_t type = token->getType();
    antlr4::Token* previous = token->getTokenIndex() > start ? tokens->LT(-1) : nullptr;
    const bool new_line = previous == nullptr || previous->getLine() < token->getLine();
    if (previous != nullptr && depth == 0) {
      if (IsUnterminated(previous->getType()) && new_line) return;
      if (new_line && (one_line || StartsStatement(type))) return;
    }
    if (type == CkmapLexer::RBRACE && depth == 0 && in_block) return;
    tokens->consume();
    if (type == CkmapLexer::LBRACE) ++depth;
    if (type == CkmapLexer::SEMI && depth == 0) return;
    if (type == CkmapLexer::RBRACE) {
      if (depth <= 1 && (depth == 0 || tokens->LT(1)->getLine() > token->getLine())) return;
      depth -= depth > 0 ? 1 : 0;
    }
  }
}

// The innermost bracket that is open before `found`.
antlr4::Token* ReportingStrategy::LastOpen(const Mistake& mistake, bool braces_only) const {
  auto* tokens = dynamic_cast<antlr4::BufferedTokenStream*>(mistake.parser->getTokenStream());
  size_t closed = 0;
  for (size_t i = mistake.found->getTokenIndex(); i-- > 0;) {
    antlr4::Token* token = tokens->get(i);
    const size_t type = token->getType();
    const bool brace = type == CkmapLexer::LBRACE || type == CkmapLexer::RBRACE;
    if (braces_only && !brace) continue;
    if (type == CkmapLexer::RPAREN || type == CkmapLexer::RBRACK || type == CkmapLexer::RBRACE) {
      ++closed;
    } else if (type == CkmapLexer::LPAREN || type == CkmapLexer::LBRACK || type == CkmapLexer::LBRACE) {
      if (closed == 0) return token;
      --closed;
    }
    if (!braces_only && type == CkmapLexer::SEMI) return nullptr;
  }
  return nullptr;
}

void ReportingStrategy::Report(const Mistake& mistake) {
  if (ReportUnclosed(mistake) || ReportMissingSemicolon(mistake) || ReportUnquotedName(mistake) ||
      ReportKeyword(mistake) || ReportSlip(mistake)) {
    return;
  }
  ReportExpected(mistake);
}

bool ReportingStrategy::ReportUnclosed(const Mistake& mistake) {
  const size_t found = mistake.found->getType();
  if (found == CkmapLexer::RBRACE && mistake.parser->getContext()->getRuleIndex() == CkmapParser::RuleFile) {
    sink_.Report(DiagnosticKind::kUnbalancedBracket, At(mistake.found), "`}` without its `{`").Emit();
    return true;
  }
  const bool wants_close = mistake.Expects(CkmapLexer::RPAREN) || mistake.Expects(CkmapLexer::RBRACK);
  const bool ends = found == CkmapLexer::SEMI || found == CkmapLexer::LBRACE || IsArrow(found) ||
                    found == CkmapLexer::RBRACE || found == kEnd || found == CkmapLexer::PIPE;
  antlr4::Token* open = nullptr;
  if (wants_close && ends) open = LastOpen(mistake, false);
  if (open == nullptr && found == kEnd) open = LastOpen(mistake, true);
  if (open == nullptr) return false;
  sink_.Report(DiagnosticKind::kUnbalancedBracket, At(open), fmt::format("`{}` is not closed", Text(open)))
      .With(At(mistake.found),
            found == kEnd ? "the file ends here" : fmt::format("`{}` comes before its end", Text(mistake.found)))
      .Emit();
  return true;
}

bool ReportingStrategy::ReportMissingSemicolon(const Mistake& mistake) {
  if (mistake.previous == nullptr || !mistake.Expects(CkmapLexer::SEMI)) return false;
  const size_t found = mistake.found->getType();
  const bool ended = mistake.first_on_line || found == kEnd || found == CkmapLexer::RBRACE || StartsStatement(found);
  if (!ended) return false;
  if (IsArrow(found) || found == CkmapLexer::LBRACE || found == CkmapLexer::PIPE) return false;
  const Span end = After(mistake.previous);
  sink_.Report(DiagnosticKind::kMissingSemicolon, end, "this statement has no `;`")
      .Suggest({"add `;`", {{end, ";"}}})
      .Emit();
  stay_ = true;
  return true;
}

bool ReportingStrategy::ReportUnquotedName(const Mistake& mistake) {
  const ParserRuleContext* context = mistake.parser->getContext();
  if (Within(context, CkmapParser::RuleExpr) || Within(context, CkmapParser::RuleArguments) ||
      Within(context, CkmapParser::RuleShape)) {
    return false;
  }
  const std::string_view text = file_.text();
  const auto in_name = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("_.*{}:-+/").find(c) != std::string_view::npos;
  };
  const size_t found = mistake.found->getType();
  const bool odd = found == CkmapLexer::DOT || found == CkmapLexer::LBRACE || found == CkmapLexer::STAR ||
                   found == CkmapLexer::MINUS || found == CkmapLexer::INT || found == CkmapLexer::NUMBER ||
                   found == CkmapLexer::VERSION || found == CkmapLexer::RANGE || found == CkmapLexer::SLASH;
  if (!odd) return false;
  Span run = At(mistake.found);
  const bool adjacent = mistake.previous != nullptr && At(mistake.previous).end == run.begin &&
                        (IsWord(mistake.previous->getType()) || mistake.previous->getType() == CkmapLexer::DOTTED);
  if (!adjacent && !mistake.Expects(CkmapLexer::STRING)) return false;
  while (run.begin > 0 && in_name(text[run.begin - 1])) --run.begin;
  while (run.end < text.size() && in_name(text[run.end])) {
    if (text.substr(run.end).starts_with("->")) break;
    ++run.end;
  }
  const std::string name(text.substr(run.begin, run.end - run.begin));
  if (name == "{" || name == "-" || name == "/" || name == "//" || name.size() > 500) return false;
  const char* reason = name.find_first_of("{*") != std::string::npos ? "has a hole or a wildcard"
                       : name[0] >= '0' && name[0] <= '9'            ? "starts with a digit"
                                                                     : "is no plain dotted name";
  sink_.Report(DiagnosticKind::kUnquotedName, run, fmt::format("`{}` {} and needs quotes", name, reason))
      .Help(fmt::format("write `\"{}\"`", name))
      .Suggest({"put it in quotes", {{run, "\"" + name + "\""}}})
      .Emit();
  return true;
}

bool ReportingStrategy::ReportKeyword(const Mistake& mistake) {
  const size_t found = mistake.found->getType();
  antlr4::Token* keyword = nullptr;
  if (IsKeyword(found) && mistake.Expects(CkmapLexer::IDENT) && !mistake.first_on_line) {
    keyword = mistake.found;
  } else if (mistake.previous != nullptr && StartsStatement(mistake.previous->getType()) &&
             (IsArrow(found) || found == CkmapLexer::LBRACK || found == CkmapLexer::QUESTION ||
              found == CkmapLexer::COMMA || found == CkmapLexer::PIPE)) {
    keyword = mistake.previous;
  }
  if (keyword == nullptr) return false;
  const Span span = At(keyword);
  const std::string word = Text(keyword);
  const bool quotable = keyword == mistake.previous || mistake.Expects(CkmapLexer::STRING);
  auto builder =
      sink_.Report(DiagnosticKind::kKeywordAsName, span, fmt::format("`{}` is a keyword of the language", word));
  if (quotable) {
    std::move(builder)
        .Help(fmt::format("to name a tensor, quote it: `\"{}\"`", word))
        .Suggest({"put it in quotes", {{span, "\"" + word + "\""}}})
        .Emit();
  } else {
    std::move(builder).Help("choose another name").Emit();
  }
  return true;
}

// Habits from other languages.
bool ReportingStrategy::ReportSlip(const Mistake& mistake) {
  const size_t found = mistake.found->getType();
  const Span at = At(mistake.found);
  const std::string_view rest = file_.text().substr(at.begin);
  const ParserRuleContext* context = mistake.parser->getContext();
  const auto report = [&](Span span, std::string message, std::string help, std::string fix) {
    auto builder = sink_.Report(DiagnosticKind::kExpectedToken, span, std::move(message));
    if (!fix.empty()) {
      std::move(builder).Help(std::move(help)).Suggest({"write `" + fix + "`", {{span, fix}}}).Emit();
    } else {
      std::move(builder).Help(std::move(help)).Emit();
    }
    return true;
  };
  if (rest.starts_with("=>")) {
    return report({id_, at.begin, at.begin + 2}, "`=>` is no arrow of the language",
                  "write `->`, or `<->` where the rule can be run backwards", "->");
  }
  if (found == CkmapLexer::FLOOR || rest.starts_with("/*")) {
    if (mistake.first_on_line) {
      skip_line_ = true;
      return report({id_, at.begin, at.begin + 2}, "comments start with `#`", "", "");
    }
  }
  if (rest.starts_with("&&")) return report({id_, at.begin, at.begin + 2}, "`&&` is no operator", "write `and`", "and");
  if (rest.starts_with("||")) return report({id_, at.begin, at.begin + 2}, "`||` is no operator", "write `or`", "or");
  if (found == CkmapLexer::COMMA && Within(context, CkmapParser::RuleMapping) && mistake.Expects(CkmapLexer::ARROW)) {
    return report(at, "expected an arrow, found `,` behind an operation",
                  "operations act on all terms before them; to give terms their own, put each in "
                  "parentheses: `(\"a\" | transpose), \"b\" -> …`",
                  "");
  }
  if (found == CkmapLexer::COLON &&
      (Within(context, CkmapParser::RuleArguments) || Within(context, CkmapParser::RuleExpr))) {
    return report(at, "an argument is given by `=`, found `:`", "as in `concat(axis=0)`", "=");
  }
  if (found == CkmapLexer::ASSIGN && Within(context, CkmapParser::RuleParam) && mistake.Expects(CkmapLexer::COLON)) {
    return report(at, "expected `:` and a type, found `=`", "a parameter has a type, as in `param heads: int = 32;`",
                  "");
  }
  if (mistake.Expects(CkmapLexer::ARROW) && mistake.previous != nullptr) {
    const std::string_view meant = MeantStatement(Text(mistake.previous));
    if (!meant.empty()) {
      return report(At(mistake.previous), fmt::format("`{}` is no statement", Text(mistake.previous)),
                    fmt::format("did you mean `{}`?", meant), std::string(meant));
    }
  }
  return false;
}

void ReportingStrategy::ReportExpected(const Mistake& mistake) {
  const size_t found = mistake.found->getType();
  const std::string what = found == kEnd      ? "the end of the file"
                           : IsKeyword(found) ? fmt::format("the keyword `{}`", Text(mistake.found))
                                              : fmt::format("`{}`", Text(mistake.found));
  std::string message;
  if (mistake.expected.isEmpty()) {
    message = mistake.previous == nullptr ? fmt::format("unexpected {}", what)
                                          : fmt::format("unexpected {} after `{}`", what, Text(mistake.previous));
  } else {
    message =
        fmt::format("expected {}, found {}", Expectation(mistake.expected, mistake.parser->getVocabulary()), what);
  }
  auto builder = sink_.Report(DiagnosticKind::kExpectedToken, At(mistake.found), std::move(message));
  if (mistake.Expects(CkmapLexer::BIARROW) && Within(mistake.parser->getContext(), CkmapParser::RuleMapping)) {
    std::move(builder).Help("a rule is written `source -> target;`, or `<->` where it can be run backwards").Emit();
  } else {
    std::move(builder).Emit();
  }
}

}  // namespace ckmap
