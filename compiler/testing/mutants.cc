#include "compiler/testing/mutants.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr size_t kShownText = 60;

class MutantFinder {
 public:
  explicit MutantFinder(const SourceFile& source) : source_(source) {}

  std::vector<Mutant> Run(const std::vector<ast::Statement>& statements) {
    Statements(statements);
    return std::move(mutants_);
  }

 private:
  std::string Text(Span span) const { return std::string(source_.text().substr(span.begin, span.end - span.begin)); }

  // On one line, cut where it is long, in backticks.
  std::string Shown(Span span) const {
    std::string out;
    for (const char c : Text(span)) {
      const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
      if (!space)
        out += c;
      else if (!out.empty() && out.back() != ' ')
        out += ' ';
    }
    if (out.size() > kShownText) out = out.substr(0, kShownText - 3) + "…";
    return "`" + out + "`";
  }

  void Add(std::string change, std::vector<Edit> edits) {
    mutants_.push_back({statement_, std::move(change), std::move(edits), false});
  }
  void Replace(Span span, std::string text) {
    if (Text(span) == text) return;
    std::string change = fmt::format("{} becomes `{}`", Shown(span), text);
    Add(std::move(change), {{span, std::move(text)}});
  }
  void Drop(Span span, std::string what) { Add(fmt::format("{} dropped", what), {{span, ""}}); }
  void Swap(Span a, Span b) {
    if (Text(a) == Text(b)) return;
    Add(fmt::format("{} and {} swapped", Shown(a), Shown(b)), {{a, Text(b)}, {b, Text(a)}});
  }
  void Remove(Span span, std::string_view what) {
    mutants_.push_back({span, fmt::format("{} removed: {}", what, Shown(span)), {{span, ""}}, true});
  }

  // ---- expressions -------------------------------------------------------------------------------

  void Operator(const ast::Binary& binary) {
    if (!binary.left || !binary.right) return;
    constexpr std::array<std::array<std::string_view, 2>, 13> kOther = {{{"+", "-"},
                                                                         {"-", "+"},
                                                                         {"*", "+"},
                                                                         {"/", "*"},
                                                                         {"//", "*"},
                                                                         {"%", "+"},
                                                                         {"==", "!="},
                                                                         {"!=", "=="},
                                                                         {"<", ">="},
                                                                         {">=", "<"},
                                                                         {">", "<="},
                                                                         {"<=", ">"},
                                                                         {"and", "or"}}};
    std::string_view other = "and";
    for (const auto& [op, instead] : kOther) {
      if (binary.op == op) other = instead;
    }
    const size_t at = source_.text().find(binary.op, binary.left->span.end);
    if (at == std::string_view::npos || at >= binary.right->span.begin) return;
    const Span span{binary.left->span.file, static_cast<uint32_t>(at), static_cast<uint32_t>(at + binary.op.size())};
    Add(fmt::format("`{}` becomes `{}` in {}", binary.op, other, Shown(Join(binary.left->span, binary.right->span))),
        {{span, std::string(other)}});
  }

  void Expression(const ast::ExprPtr& expr) {
    if (!expr) return;
    if (const auto* value = std::get_if<ast::IntLiteral>(&expr->kind)) {
      Replace(expr->span, fmt::format("{}", value->value + 1));
      if (value->value > 0) Replace(expr->span, fmt::format("{}", value->value - 1));
    } else if (const auto* flag = std::get_if<ast::BoolLiteral>(&expr->kind)) {
      Replace(expr->span, flag->value ? "false" : "true");
    } else if (const auto* unary = std::get_if<ast::Unary>(&expr->kind)) {
      if (unary->op == "not" && unary->operand)
        Add(fmt::format("`not` dropped in {}", Shown(expr->span)), {{expr->span, Text(unary->operand->span)}});
      if (unary->op != "-") Expression(unary->operand);
    } else if (const auto* binary = std::get_if<ast::Binary>(&expr->kind)) {
      Operator(*binary);
      Expression(binary->left);
      Expression(binary->right);
    } else if (const auto* choice = std::get_if<ast::Conditional>(&expr->kind)) {
      if (choice->then_value && choice->else_value) Swap(choice->then_value->span, choice->else_value->span);
      for (const ast::ExprPtr* part : {&choice->condition, &choice->then_value, &choice->else_value}) Expression(*part);
    } else if (const auto* call = std::get_if<ast::CallExpr>(&expr->kind)) {
      for (const ast::CallArgument& argument : call->args) Expression(argument.value);
    } else if (const auto* list = std::get_if<ast::ListExpr>(&expr->kind)) {
      for (size_t i = 0; i + 1 < list->items.size(); ++i) Swap(list->items[i]->span, list->items[i + 1]->span);
      for (const ast::ExprPtr& item : list->items) Expression(item);
    }
  }

  // `when CONDITION`: the other way round, or gone.
  void Condition(const ast::ExprPtr& when) {
    if (!when) return;
    Add(fmt::format("condition {} turned round", Shown(when->span)), {{when->span, "not (" + Text(when->span) + ")"}});
    const size_t word = source_.text().substr(0, when->span.begin).rfind("when");
    if (word != std::string_view::npos)
      Drop({when->span.file, static_cast<uint32_t>(word), when->span.end}, "condition " + Shown(when->span));
    Expression(when);
  }

  // ---- names -------------------------------------------------------------------------------------

  // The options of `{a,b}` or `{x:a|b}`, with their places.
  std::vector<Span> Options(Span part, const std::vector<std::string>& options, char separator) const {
    std::vector<Span> spans;
    const std::string text = Text(part);
    size_t at = separator == '|' ? text.find(':') : 0;
    for (const std::string& option : options) {
      if (at == std::string::npos || text.compare(at + 1, option.size(), option) != 0) return {};
      const auto begin = static_cast<uint32_t>(part.begin + at + 1);
      spans.push_back({part.file, begin, static_cast<uint32_t>(begin + option.size())});
      at += 1 + option.size();
    }
    return spans;
  }

  void LeaveOut(const std::vector<Span>& options) {
    if (options.size() < 3) return;  // of two, a hole of one remains: that is no list any more
    for (size_t i = 0; i < options.size(); ++i) {
      Span span = options[i];
      if (i > 0)
        --span.begin;
      else
        ++span.end;
      Drop(span, Shown(options[i]));
    }
  }

  // `list`: the name stands for several tensors, whose order counts.
  void Name(const ast::Pattern& pattern, bool list) {
    for (const ast::PatternPart& part : pattern.parts) {
      if (const auto* alternatives = std::get_if<ast::AlternativesPart>(&part.kind)) {
        const std::vector<Span> options = Options(part.span, alternatives->options, ',');
        if (!list) LeaveOut(options);
        for (size_t i = 0; list && i + 1 < options.size(); ++i) Swap(options[i], options[i + 1]);
      } else if (const auto* capture = std::get_if<ast::CapturePart>(&part.kind)) {
        const std::vector<Span> options = Options(part.span, capture->choices, '|');
        LeaveOut(options);
        for (size_t i = 0; options.size() == 2 && i < 2; ++i)
          Add(fmt::format("{} dropped from {}", Shown(options[i]), Shown(part.span)),
              {{part.span, Text(options[1 - i])}});
      } else if (const auto* computed = std::get_if<ast::ExprPart>(&part.kind)) {
        Expression(computed->expr);
      }
    }
    if (!pattern.optional) return;
    const Span mark{pattern.span.file, pattern.span.end - 1, pattern.span.end};
    if (Text(mark) == "?") Drop(mark, fmt::format("`?` of {}", Shown(pattern.span)));
  }

  static bool HasAlternatives(const ast::Pattern& pattern) {
    return std::any_of(pattern.parts.begin(), pattern.parts.end(), [](const ast::PatternPart& part) {
      return std::holds_alternative<ast::AlternativesPart>(part.kind);
    });
  }

  // ---- rules -------------------------------------------------------------------------------------

  void Operation(const ast::OpCall& op, uint32_t before) {
    Drop({op.span.file, before, op.span.end}, Shown(op.span));
    for (size_t i = 0; i < op.args.size(); ++i) {
      Expression(op.args[i].value);
      const bool positional = !op.args[i].name && op.args[i].value;
      if (positional && i + 1 < op.args.size() && !op.args[i + 1].name && op.args[i + 1].value)
        Swap(op.args[i].value->span, op.args[i + 1].value->span);
    }
  }

  bool Source(const ast::Pipeline& pipeline) {
    bool alternatives = false;
    uint32_t end = pipeline.span.begin;
    for (size_t i = 0; i < pipeline.terms.size(); ++i) {
      const ast::Term& term = pipeline.terms[i];
      if (i + 1 < pipeline.terms.size()) Swap(term.span, pipeline.terms[i + 1].span);
      if (const auto* inner = std::get_if<std::unique_ptr<ast::Pipeline>>(&term.kind)) {
        alternatives = Source(**inner) || alternatives;
      } else {
        const auto& name = *std::get_if<ast::Pattern>(&term.kind);
        Name(name, true);
        alternatives = alternatives || HasAlternatives(name);
      }
      end = term.span.end;
    }
    for (size_t i = 0; i < pipeline.ops.size(); ++i) {
      Operation(pipeline.ops[i], end);
      end = pipeline.ops[i].span.end;
      if (i + 1 < pipeline.ops.size()) Swap(pipeline.ops[i].span, pipeline.ops[i + 1].span);
    }
    return alternatives;
  }

  void Rule(const ast::Rule& rule, Span span) {
    Remove(span, "rule");
    statement_ = span;
    const bool alternatives = Source(rule.source);
    for (const ast::Term& term : rule.target.terms) {
      // Where both sides list their names, an exchange on either side is the same mistake.
      const auto* name = std::get_if<ast::Pattern>(&term.kind);
      if (name != nullptr && !(alternatives && HasAlternatives(*name))) Name(*name, true);
    }
    for (size_t i = 0; rule.target.terms.size() == rule.source.terms.size() ? false : i + 1 < rule.target.terms.size();
         ++i) {
      Swap(rule.target.terms[i].span, rule.target.terms[i + 1].span);
    }
    const uint32_t end = rule.source.span.end;
    const bool turned = !rule.source.ops.empty() && rule.source.ops.back().name.text == "transpose" &&
                        rule.source.ops.back().args.empty();
    if (!turned) Add("`transpose()` added", {{{rule.source.span.file, end, end}, " | transpose()"}});
    if (rule.overrides) Drop({span.file, span.begin, rule.source.span.begin}, "`override`");
    for (const ast::RangeClause& range : rule.ranges) {
      Expression(range.begin);
      Expression(range.end);
    }
    Condition(rule.when);
  }

  // The right sides of neighbours exchanged.
  template <typename Items, typename RuleOf>
  void Neighbours(const Items& items, const RuleOf& rule_of) {
    for (size_t i = 0; i + 1 < items.size(); ++i) {
      const ast::Rule* a = rule_of(items[i]);
      const ast::Rule* b = rule_of(items[i + 1]);
      if (a == nullptr || b == nullptr) continue;
      statement_ = items[i].span;
      Swap(a->target.span, b->target.span);
    }
  }

  // ---- statements --------------------------------------------------------------------------------

  void DropStatement(const ast::Drop& drop, Span span) {
    Remove(span, drop.only ? "`only`" : "`drop`");
    statement_ = span;
    Name(drop.pattern, false);
    Condition(drop.when);
  }

  void Rename(const ast::Rename& rename) {
    for (size_t i = 0; i < rename.pairs.size(); ++i) {
      const ast::RenamePair& pair = rename.pairs[i];
      // A block keeps its braces; a single rename goes whole. All changes of a rename belong to one statement: a plan
      // records the first rename of a name alone, so that its removal is what shows whether it is in use.
      statement_ = rename.pairs.size() == 1 ? whole_ : pair.span;
      Remove(statement_, "rename");
      const auto plain = [](const ast::Pattern& pattern) {
        return pattern.parts.size() == 1 && std::holds_alternative<ast::LiteralPart>(pattern.parts[0].kind);
      };
      if (plain(pair.from) && plain(pair.to)) Swap(pair.from.span, pair.to.span);
      if (i + 1 < rename.pairs.size() && plain(pair.to) && plain(rename.pairs[i + 1].to))
        Swap(pair.to.span, rename.pairs[i + 1].to.span);
      Name(pair.from, false);
      Name(pair.to, false);
    }
  }

  void Layer(const ast::Layer& layer, Span span) {
    Remove(span, "layer");
    statement_ = span;
    Condition(layer.when);
    for (const ast::LayerItem& item : layer.items) {
      if (const auto* rule = std::get_if<ast::Rule>(&item.kind))
        Rule(*rule, item.span);
      else
        DropStatement(*std::get_if<ast::Drop>(&item.kind), item.span);
    }
    Neighbours(layer.items, [](const ast::LayerItem& item) { return std::get_if<ast::Rule>(&item.kind); });
  }

  void Init(const ast::Init& init, Span span) {
    Remove(span, "`init`");
    statement_ = span;
    Name(init.pattern, false);
    constexpr std::array<std::array<std::string_view, 2>, 3> kOther = {
        {{"zeros", "ones"}, {"ones", "zeros"}, {"keep", "zeros"}}};
    for (const auto& [kind, other] : kOther) {
      if (init.kind.text == kind) Replace(init.kind.span, std::string(other));
    }
    for (const ast::CallArgument& argument : init.args) Expression(argument.value);
    Condition(init.when);
  }

  void Target(const ast::Target& target) {
    for (const ast::TargetItem& item : target.items) {
      if (item.kind == ast::TargetItem::Kind::kStrict) continue;
      Remove(item.span, "policy");
      statement_ = item.span;
      if (item.overflow) Replace(item.overflow->span, item.overflow->text == "error" ? "saturate" : "error");
      if (item.kind == ast::TargetItem::Kind::kCast) Swap(item.cast_from.span, item.cast_to.span);
    }
  }

  void Statement(const ast::Statement& statement) {
    statement_ = whole_ = statement.span;
    if (const auto* rule = std::get_if<ast::Rule>(&statement.kind))
      Rule(*rule, statement.span);
    else if (const auto* drop = std::get_if<ast::Drop>(&statement.kind))
      DropStatement(*drop, statement.span);
    else if (const auto* rename = std::get_if<ast::Rename>(&statement.kind))
      Rename(*rename);
    else if (const auto* layer = std::get_if<ast::Layer>(&statement.kind))
      Layer(*layer, statement.span);
    else if (const auto* init = std::get_if<ast::Init>(&statement.kind))
      Init(*init, statement.span);
    else if (const auto* target = std::get_if<ast::Target>(&statement.kind))
      Target(*target);
    else if (const auto* let = std::get_if<ast::Let>(&statement.kind))
      Expression(let->value);
    else if (const auto* param = std::get_if<ast::Param>(&statement.kind))
      Expression(param->value);
    else if (std::holds_alternative<ast::ModuleIs>(statement.kind))
      Remove(statement.span, "`module`");
    else if (const auto* assertion = std::get_if<ast::Assert>(&statement.kind)) {
      Remove(statement.span, "`assert`");
      statement_ = statement.span;
      Expression(assertion->condition);
    } else if (const auto* within = std::get_if<ast::Within>(&statement.kind)) {
      Condition(within->when);
      Statements(within->body);
    }
  }

  void Statements(const std::vector<ast::Statement>& statements) {
    for (const ast::Statement& statement : statements) Statement(statement);
    Neighbours(statements, [](const ast::Statement& statement) { return std::get_if<ast::Rule>(&statement.kind); });
  }

  const SourceFile& source_;
  Span statement_, whole_;
  std::vector<Mutant> mutants_;
};

}  // namespace

std::vector<Mutant> MutantsOf(const SourceFile& source, const ast::File& file) {
  std::vector<Mutant> mutants = MutantFinder(source).Run(file.statements);
  std::stable_sort(mutants.begin(), mutants.end(), [](const Mutant& a, const Mutant& b) {
    return a.statement.begin != b.statement.begin ? a.statement.begin < b.statement.begin : a.removes && !b.removes;
  });
  return mutants;
}

std::string Apply(const SourceFile& source, const std::vector<Edit>& edits) {
  std::vector<Edit> sorted = edits;
  std::sort(sorted.begin(), sorted.end(), [](const Edit& a, const Edit& b) { return a.span.begin < b.span.begin; });
  std::string out;
  size_t done = 0;
  for (const Edit& edit : sorted) {
    out.append(source.text().substr(done, edit.span.begin - done)).append(edit.replacement);
    done = edit.span.end;
  }
  return out.append(source.text().substr(done));
}

}  // namespace ckmap
