#include "compiler/syntax/ast_builder.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "CkmapLexer.h"
#include "compiler/syntax/antlr_errors.h"
#include "compiler/syntax/pattern_parser.h"

namespace ckmap {
namespace {

using P = grammar::CkmapParser;
using L = grammar::CkmapLexer;

constexpr int64_t kEdition = 1;
constexpr uint32_t kMaxName = 16 << 10;  // bytes; no framework writes longer names

// Where a statement stands.
enum class Block { kFile, kWithin, kLayer };

class Builder {
 public:
  Builder(antlr4::BufferedTokenStream& tokens, const SourceFile& source, FileId id, DiagnosticSink& sink)
      : tokens_(tokens), source_(source), id_(id), sink_(sink) {}

  ast::File File(P::FileContext& context) {
    ast::File file;
    Edition(context, file);
    file.statements = Statements(context.list, Block::kFile);
    if (!sink_.has_errors()) WarnUnusedDocs();
    return file;
  }

 private:
  // ---- leaves ----

  Span At(const antlr4::Token* token) const { return TokenSpan(token, id_, source_); }
  Span At(const antlr4::ParserRuleContext* context) const {
    const Span first = At(context->start);
    const Span last = context->stop == nullptr ? first : At(context->stop);
    return {id_, first.begin, std::max(first.end, last.end)};
  }
  std::string Text(Span span) const { return std::string(source_.text().substr(span.begin, span.end - span.begin)); }
  template <typename Node>
  ast::Identifier Name(const Node* node) const {
    const Span span = At(node);
    return {Text(span), span};
  }
  std::string Unquote(const antlr4::Token* token) { return ParseText(source_, At(token), &sink_); }
  ast::Identifier UnquotedName(const antlr4::Token* token) { return {Unquote(token), At(token)}; }

  ast::Pattern Pattern(P::PatternContext* context) {
    ast::Pattern pattern;
    if (const Span whole = At(context); whole.end - whole.begin > kMaxName) {
      sink_
          .Report(DiagnosticKind::kPlanLimit, whole,
                  fmt::format("a name of {} bytes; {} are the most", whole.end - whole.begin, kMaxName))
          .Emit();
      pattern.invalid = true;
      pattern.span = whole;
      return pattern;
    }
    if (context->quoted != nullptr) {
      pattern = ParseQuotedPattern(source_, At(context->quoted), &sink_);
    } else if (context->regex != nullptr) {
      pattern = ParseRegexPattern(source_, At(context->regex), sink_);
    } else {
      pattern = BarePattern(source_, At(context->plain));
    }
    pattern.optional = context->optional != nullptr;
    pattern.span = At(context);
    return pattern;
  }

  // ---- expressions: at most as deep as the check of the nesting lets through ----

  ast::ExprPtr Make(decltype(ast::Expr::kind) kind, Span span) const {
    return std::make_unique<ast::Expr>(ast::Expr{std::move(kind), span});
  }

  ast::ExprPtr Expr(P::ExprContext* context) {
    const Span span = At(context);
    if (context->left != nullptr) {
      CheckChain(context);
      return Make(ast::Binary{Text(At(context->op)), Expr(context->left), Expr(context->right)}, span);
    }
    if (context->operand != nullptr) {
      return Make(ast::Unary{Text(At(context->op)), Expr(context->operand)}, span);
    }
    if (context->condition != nullptr) {
      return Make(ast::Conditional{Expr(context->condition), Expr(context->yes), Expr(context->no)}, span);
    }
    if (context->function != nullptr) {
      ast::CallExpr call{Name(context->function), {}};
      for (auto* argument : context->args) call.args.push_back(Argument(argument));
      return Make(std::move(call), span);
    }
    if (context->name != nullptr) return Make(ast::NameRef{Text(span)}, span);
    if (context->inner != nullptr) return Expr(context->inner);
    if (context->literal != nullptr) return Make(Literal(context->literal), span);
    ast::ListExpr list;
    for (auto* item : context->items) list.items.push_back(Expr(item));
    return Make(std::move(list), span);
  }

  static bool IsComparison(P::ExprContext* context) {
    if (context->op == nullptr || context->left == nullptr) return false;
    const size_t type = context->op->getType();
    return type == L::EQ || type == L::NE || type == L::LT || type == L::LE || type == L::GT || type == L::GE;
  }
  void CheckChain(P::ExprContext* context) {
    if (!IsComparison(context) || !IsComparison(context->left)) return;
    sink_.Report(DiagnosticKind::kChainedComparison, At(context->op), "comparisons do not chain")
        .With(At(context->left), "this is true or false already")
        .Help("write `a < b and b < c`")
        .Emit();
  }

  decltype(ast::Expr::kind) Literal(const antlr4::Token* token) {
    const Span span = At(token);
    const std::string text = Text(span);
    switch (token->getType()) {
      case L::TRUE:
        return ast::BoolLiteral{true};
      case L::FALSE:
        return ast::BoolLiteral{false};
      case L::INT: {
        const std::optional<int64_t> value = Integer(token);
        if (!value) return ast::Invalid{};
        return ast::IntLiteral{*value};
      }
      case L::NUMBER: {
        double value = 0;
        std::from_chars(text.data(), text.data() + text.size(), value);
        if (std::isfinite(value) && !(value == 0 && HasDigitNotZero(text))) {
          return ast::NumberLiteral{value};
        }
        sink_.Report(DiagnosticKind::kBadNumber, span, "this number does not fit a 64-bit float").Emit();
        return ast::Invalid{};
      }
      default:
        break;
    }
    ast::StringLiteral literal{Unquote(token), nullptr};
    if (span.end - span.begin > kMaxName) return literal;
    ast::Pattern pattern = ParseQuotedPattern(source_, span, nullptr);
    if (!pattern.invalid) literal.pattern = std::make_unique<ast::Pattern>(std::move(pattern));
    return literal;
  }

  static bool HasDigitNotZero(std::string_view text) {
    const std::string_view mantissa = text.substr(0, text.find_first_of("eE"));
    return mantissa.find_first_of("123456789") != std::string_view::npos;
  }

  std::optional<int64_t> Integer(const antlr4::Token* token) {
    const Span span = At(token);
    const std::string_view text = source_.text().substr(span.begin, span.end - span.begin);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
    sink_.Report(DiagnosticKind::kBadNumber, span, "this integer needs more than 63 bits").Emit();
    return std::nullopt;
  }

  ast::CallArgument Argument(P::ArgumentContext* context) {
    ast::CallArgument argument;
    if (context->name != nullptr) argument.name = Name(context->name);
    argument.value = Expr(context->value);
    return argument;
  }
  std::vector<ast::CallArgument> Arguments(P::ArgumentsContext* context) {
    std::vector<ast::CallArgument> arguments;
    if (context == nullptr) return arguments;
    for (auto* argument : context->list) arguments.push_back(Argument(argument));
    return arguments;
  }
  ast::ExprPtr Optional(P::ExprContext* context) { return context == nullptr ? nullptr : Expr(context); }

  // ---- rules ----

  ast::ShapeExpr Shape(P::ShapeContext* context) {
    ast::ShapeExpr shape;
    shape.span = At(context);
    for (auto* item : context->list) {
      ast::DimExpr dim;
      dim.span = At(item);
      if (item->any != nullptr) {
        dim.kind = ast::DimExpr::Kind::kAny;
      } else if (item->rest != nullptr) {
        dim.kind = ast::DimExpr::Kind::kRest;
      } else {
        dim.expr = Expr(item->value);
      }
      shape.dims.push_back(std::move(dim));
    }
    return shape;
  }

  ast::Pipeline Pipeline(P::PipelineContext* context) {
    ast::Pipeline pipeline;
    pipeline.span = At(context);
    for (auto* item : context->terms) {
      ast::Term term;
      term.span = At(item);
      if (item->name != nullptr) {
        term.kind = Pattern(item->name);
      } else {
        term.kind = std::make_unique<ast::Pipeline>(Pipeline(item->inner));
      }
      if (item->dims != nullptr) term.shape = Shape(item->dims);
      pipeline.terms.push_back(std::move(term));
    }
    for (auto* item : context->ops) {
      pipeline.ops.push_back({Name(item->name), Arguments(item->values), At(item)});
    }
    return pipeline;
  }

  void CheckTarget(P::PipelineContext* context) {
    const antlr4::ParserRuleContext* culprit = nullptr;
    if (!context->ops.empty()) culprit = context->ops.front();
    for (auto* term : context->terms) {
      if (term->inner != nullptr && culprit == nullptr) culprit = term;
    }
    if (culprit == nullptr) return;
    sink_.Report(DiagnosticKind::kOperationOnTarget, At(culprit), "the right side of a rule only names tensors")
        .Help(
            "operations stand on the left: `source | operation(…) -> target;`; with `<->` they are "
            "undone by themselves on the way back")
        .Emit();
  }

  void Repeated(const antlr4::ParserRuleContext* clause, std::string_view word) {
    sink_.Report(DiagnosticKind::kRepeatedClause, At(clause), fmt::format("a second `{}`", word))
        .Help(word == "when"    ? "join the conditions with `and`"
              : word == "where" ? "list the ranges behind one `where`: `where i in 0..4, j in 0..2`"
                                : "keep one of them")
        .Emit();
  }

  ast::Rule Mapping(P::MappingContext* context) {
    ast::Rule rule;
    rule.source = Pipeline(context->source);
    rule.arrow = At(context->arrow());
    rule.reversible = context->arrow()->BIARROW() != nullptr;
    rule.target = Pipeline(context->destination);
    CheckTarget(context->destination);
    rule.overrides = context->overrides != nullptr;
    rule.derives = context->derives != nullptr;
    if (rule.derives) rule.derives_span = At(context->derives);
    for (auto* clause : context->list) {
      if (clause->kind->getType() == L::WHEN) {
        if (rule.when != nullptr) Repeated(clause, "when");
        rule.when = Expr(clause->condition);
      } else if (clause->kind->getType() == L::EXACTLY) {
        if (rule.exactly) Repeated(clause, "exactly");
        rule.exactly = Unquote(clause->reason);
      } else {
        if (!rule.ranges.empty()) Repeated(clause, "where");
        for (auto* range : clause->ranges) {
          rule.ranges.push_back({Name(range->name), Expr(range->first), Expr(range->last), At(range)});
        }
      }
    }
    return rule;
  }

  ast::Drop Drop(P::DropContext* context) {
    ast::Drop drop;
    drop.pattern = Pattern(context->name);
    for (auto* clause : context->list) {
      if (clause->condition != nullptr) {
        if (drop.when != nullptr) Repeated(clause, "when");
        drop.when = Expr(clause->condition);
      } else if (clause->value != nullptr) {
        if (drop.equals != nullptr) Repeated(clause, "equals");
        drop.equals = Expr(clause->value);
      } else {
        if (drop.reason) Repeated(clause, "because");
        drop.reason = Unquote(clause->reason);
      }
    }
    return drop;
  }

  // ---- statements ----

  ast::Use Use(P::UseContext* context) {
    ast::Use use;
    use.is_path = context->quoted != nullptr;
    if (use.is_path) {
      use.target = UnquotedName(context->quoted);
    } else {
      use.target = Name(context->path);
      const size_t space = use.target.text.find_first_of(" \t\r\n#");
      if (space != std::string::npos) {
        sink_.Report(DiagnosticKind::kExpectedToken, use.target.span, "white space inside the name of a pack").Emit();
      }
    }
    if (context->minimum != nullptr) use.version = Name(context->minimum);
    if (context->prefix != nullptr) {
      RequireWord(context->option, "prefix");
      use.prefix = UnquotedName(context->prefix);
    }
    use.with = Arguments(context->with);
    if (context->reason != nullptr) use.exactly = Unquote(context->reason);
    return use;
  }

  ast::Param Param(P::ParamContext* context) {
    ast::Param param{Name(context->name), Name(context->type), std::nullopt, nullptr};
    if (context->key != nullptr) param.config_key = UnquotedName(context->key);
    param.value = Optional(context->value);
    return param;
  }

  ast::Rename Rename(P::RenameContext* context) {
    ast::Rename rename;
    rename.of_target = context->side != nullptr;
    std::vector<P::RenamePairContext*> pairs = context->list;
    if (context->single != nullptr) pairs.push_back(context->single);
    for (auto* pair : pairs) {
      if (pair->exception != nullptr) continue;
      rename.pairs.push_back({Pattern(pair->left), Pattern(pair->right), At(pair)});
    }
    return rename;
  }

  ast::Layer Layer(P::LayerContext* context) {
    ast::Layer layer;
    layer.name = Name(context->name);
    layer.when = Optional(context->condition);
    for (ast::Statement& statement : Statements(context->list, Block::kLayer)) {
      ast::LayerItem item;
      item.span = statement.span;
      item.doc = std::move(statement.doc);
      if (auto* rule = std::get_if<ast::Rule>(&statement.kind)) {
        item.kind = std::move(*rule);
      } else if (auto* drop = std::get_if<ast::Drop>(&statement.kind)) {
        item.kind = std::move(*drop);
      } else {
        continue;  // reported as misplaced
      }
      layer.items.push_back(std::move(item));
    }
    return layer;
  }

  ast::Within Within(P::WithinContext* context) {
    ast::Within within;
    within.from = Pattern(context->left);
    within.to = Pattern(context->right);
    within.arrow = At(context->arrow());
    within.reversible = context->arrow()->BIARROW() != nullptr;
    within.when = Optional(context->condition);
    if (context->reason != nullptr) within.exactly = Unquote(context->reason);
    within.body = Statements(context->list, Block::kWithin);
    return within;
  }

  ast::Target Target(P::TargetContext* context) {
    ast::Target target;
    for (auto* line : context->list) {
      if (line->exception != nullptr) continue;
      ast::TargetItem item;
      item.span = At(line);
      switch (line->kind->getType()) {
        case L::STRICT:
          for (auto* word : line->words) item.words.push_back(Name(word));
          break;
        case L::ALLOW:
          item.kind = line->what->getType() == L::MISSING ? ast::TargetItem::Kind::kAllowMissing
                                                          : ast::TargetItem::Kind::kAllowUnused;
          item.pattern = Pattern(line->name);
          break;
        case L::CAST:
          item.kind = ast::TargetItem::Kind::kCast;
          item.cast_from = Name(line->source);
          item.cast_to = Name(line->destination);
          if (line->name != nullptr) item.pattern = Pattern(line->name);
          if (line->value != nullptr) {
            RequireWord(line->option, "overflow");
            item.overflow = Name(line->value);
          }
          break;
        default:
          item.kind = ast::TargetItem::Kind::kMatchSuffix;
      }
      target.items.push_back(std::move(item));
    }
    return target;
  }

  void RequireWord(const antlr4::ParserRuleContext* word, std::string_view expected) {
    const Span span = At(word);
    if (Text(span) == expected) return;
    sink_.Report(DiagnosticKind::kExpectedToken, span, fmt::format("expected `{}`, found `{}`", expected, Text(span)))
        .Suggest({fmt::format("write `{}`", expected), {{span, std::string(expected)}}})
        .Emit();
  }

  ast::Shard Shard(P::ShardContext* context) {
    RequireWord(context->option, "axis");
    return {Pattern(context->name), Expr(context->axis), Name(context->group), Optional(context->condition)};
  }

  ast::Decide Decide(P::DecideContext* context) {
    ast::Decide decide;
    decide.question = UnquotedName(context->question);
    if (context->kind == nullptr) return decide;
    const size_t kind = context->kind->getType();
    decide.kind = kind == L::FOR       ? ast::Decide::Kind::kFor
                  : kind == L::MISSING ? ast::Decide::Kind::kMissing
                                       : ast::Decide::Kind::kUnused;
    for (auto* pattern : context->list) decide.patterns.push_back(Pattern(pattern));
    return decide;
  }

  ast::TestTensor TestTensor(P::TestTensorContext* context) {
    ast::TestTensor tensor;
    tensor.name = Pattern(context->name);
    if (context->dtype != nullptr) tensor.dtype = Name(context->dtype);
    if (context->dims != nullptr) tensor.shape = Shape(context->dims);
    tensor.value = Optional(context->value);
    tensor.tolerance = Optional(context->tolerance);
    tensor.span = At(context);
    return tensor;
  }

  ast::TestBlock Test(P::TestContext* context) {
    ast::TestBlock test;
    test.name = UnquotedName(context->name);
    test.with = Arguments(context->values);
    for (auto* item : context->list) {
      if (item->exception != nullptr) continue;
      if (item->code != nullptr) {
        test.errors.push_back({Name(item->code), std::nullopt, At(item)});
        if (item->name != nullptr) test.errors.back().tensor = Pattern(item->name);
        continue;
      }
      if (item->side == nullptr || item->side->exception != nullptr) continue;
      ast::TestSide side;
      side.span = At(item->side->kind);
      for (auto* line : item->side->list) {
        if (line->exception == nullptr) side.tensors.push_back(TestTensor(line));
      }
      (item->side->kind->getType() == L::SOURCE ? test.source : test.target).push_back(std::move(side));
    }
    return test;
  }

  decltype(ast::Statement::kind) Kind(P::StatementContext* c) {
    if (auto* x = c->mapping()) return Mapping(x);
    if (auto* x = c->drop()) return Drop(x);
    if (auto* x = c->only()) {
      ast::Drop only;
      only.pattern = Pattern(x->name);
      only.only = true;
      return only;
    }
    if (auto* x = c->layer()) return Layer(x);
    if (auto* x = c->within()) return Within(x);
    if (auto* x = c->rename()) return Rename(x);
    if (auto* x = c->moduleIs()) {
      return ast::ModuleIs{Pattern(x->name), Name(x->kind), Optional(x->condition)};
    }
    if (auto* x = c->init()) {
      return ast::Init{Pattern(x->name), Name(x->kind), Arguments(x->values), Optional(x->condition)};
    }
    if (auto* x = c->use()) return Use(x);
    if (auto* x = c->param()) return Param(x);
    if (auto* x = c->let()) return ast::Let{Name(x->name), Expr(x->value)};
    if (auto* x = c->migration()) {
      return ast::Migration{Name(x->name), Name(x->source), Name(x->destination)};
    }
    if (auto* x = c->names()) {
      return ast::Names{UnquotedName(x->separator), UnquotedName(x->replacement)};
    }
    if (auto* x = c->target()) return Target(x);
    if (auto* x = c->assertion()) {
      ast::Assert assertion{Expr(x->condition), std::nullopt};
      if (x->message != nullptr) assertion.message = Unquote(x->message);
      return assertion;
    }
    if (auto* x = c->place()) return ast::Place{Pattern(x->name), UnquotedName(x->device), Optional(x->condition)};
    if (auto* x = c->shard()) return Shard(x);
    if (auto* x = c->decide()) return Decide(x);
    if (auto* x = c->namedSources()) {
      ast::NamedSources sources;
      for (auto* source : x->list) sources.list.push_back({Name(source->name), source->optional != nullptr});
      return sources;
    }
    if (auto* x = c->test()) return Test(x);
    return ast::Invalid{};
  }

  static bool Fits(P::StatementContext* c, Block block) {
    const bool rule = c->mapping() != nullptr || c->drop() != nullptr;
    if (block == Block::kLayer) return rule && (c->mapping() == nullptr || c->mapping()->derives == nullptr);
    const bool scoped = rule || c->only() != nullptr || c->init() != nullptr || c->moduleIs() != nullptr ||
                        c->within() != nullptr || c->assertion() != nullptr || c->place() != nullptr ||
                        c->shard() != nullptr;
    return block == Block::kFile ? c->edition() == nullptr : scoped;
  }

  void Misplaced(P::StatementContext* context, Block block) {
    const bool derives = context->mapping() != nullptr && context->mapping()->derives != nullptr;
    const Span first = derives ? At(context->mapping()->derives) : At(context->start);
    const std::string word = derives ? "-> source" : Text(first);
    if (context->edition() != nullptr) {
      sink_.Report(DiagnosticKind::kMisplacedStatement, At(context), "the edition stands in the middle of a file")
          .Help("`ckmap 1;` is the first statement of a file, and stands there once")
          .Emit();
      return;
    }
    const bool layer = block == Block::kLayer;
    sink_
        .Report(DiagnosticKind::kMisplacedStatement, first,
                fmt::format("`{}` inside of a `{}` block", word, layer ? "layer" : "within"))
        .Note(layer ? "a layer holds rules and `drop`"
                    : "a `within` block holds rules, `drop`, `only`, `init`, `module`, `place`, `shard`, "
                      "`assert` and `within`")
        .Help("move it to the top of the file")
        .Emit();
  }

  std::vector<ast::Statement> Statements(const std::vector<P::StatementContext*>& list, Block block) {
    std::vector<ast::Statement> statements;
    for (size_t i = 0; i < list.size(); ++i) {
      P::StatementContext* context = list[i];
      if (context->exception != nullptr) continue;
      const bool edition = context->edition() != nullptr;
      if (edition && block == Block::kFile && i == 0) continue;
      if (!Fits(context, block)) {
        Misplaced(context, block);
        continue;
      }
      ast::Statement statement;
      statement.span = At(context);
      statement.doc = Doc(context->start);
      statement.kind = Kind(context);
      statements.push_back(std::move(statement));
    }
    return statements;
  }

  // ---- the edition and the doc comments ----

  void Edition(P::FileContext& context, ast::File& file) {
    if (context.start != nullptr && context.start->getType() == L::CKMAP) {
      auto* edition = context.list.empty() ? nullptr : context.list.front()->edition();
      if (edition == nullptr || edition->value == nullptr) return;  // reported
      file.edition_span = At(edition);
      file.edition = Integer(edition->value);
      if (file.edition && *file.edition != kEdition) file.edition.reset();
      return;
    }
    const auto begin = static_cast<uint32_t>(source_.text().starts_with("\xef\xbb\xbf") ? 3 : 0);
    sink_
        .Report(DiagnosticKind::kMissingEdition, {id_, begin, begin},
                "the file does not say its edition of the language")
        .Help("write `ckmap 1;` as the first line")
        .Suggest({"add `ckmap 1;`", {{{id_, begin, begin}, "ckmap 1;\n"}}})
        .Emit();
  }

  std::string Doc(const antlr4::Token* start) {
    size_t first = start->getTokenIndex();
    while (first > 0 && tokens_.get(first - 1)->getChannel() != antlr4::Token::DEFAULT_CHANNEL) {
      --first;
    }
    std::string doc;
    for (size_t i = first; i < start->getTokenIndex(); ++i) {
      const antlr4::Token* token = tokens_.get(i);
      if (token->getType() != L::DOC) continue;
      used_docs_.insert(i);
      std::string_view line = source_.text().substr(token->getStartIndex() + 3);
      line = line.substr(0, token->getStopIndex() - token->getStartIndex() - 2);
      if (line.starts_with(' ')) line.remove_prefix(1);
      while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
      if (!doc.empty()) doc += '\n';
      doc += line;
    }
    return doc;
  }

  void WarnUnusedDocs() {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const antlr4::Token* token = tokens_.get(i);
      if (token->getType() != L::DOC || used_docs_.contains(i)) continue;
      sink_.Report(DiagnosticKind::kUnusedDocComment, At(token), "this doc comment has no statement below it")
          .Help("`///` documents the statement that follows; other comments start with `#`")
          .Emit();
    }
  }

  antlr4::BufferedTokenStream& tokens_;
  const SourceFile& source_;
  FileId id_;
  DiagnosticSink& sink_;
  std::set<size_t> used_docs_;
};

}  // namespace

ast::File BuildFile(P::FileContext& file, antlr4::BufferedTokenStream& tokens, const SourceFile& source, FileId id,
                    DiagnosticSink& sink) {
  return Builder(tokens, source, id, sink).File(file);
}

}  // namespace ckmap
