#include "compiler/sema/rule_builder.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"
#include "compiler/sema/op_check.h"
#include "runtime/base/text.h"
#include "runtime/plan/device_name.h"

namespace ckmap {

std::vector<const ast::Pattern*> RuleBuilder::Prefixes(const Place& place, Side side) const {
  std::vector<const ast::Pattern*> prefixes;
  for (const ast::Within* within : place.within)
    prefixes.push_back(side == Side::kSource ? &within->from : &within->to);
  return prefixes;
}

std::optional<TypedExpr> RuleBuilder::BuildWhen(const ast::ExprPtr& when, const Place& place, RuleScope& scope) {
  std::optional<TypedExpr> all;
  const auto add = [&](const ast::ExprPtr& condition) {
    if (!condition) return;
    ExprTyper typer(variables_, place.unit, &scope, sink_);
    TypedExpr typed = typer.Expect(*condition, ValueType::kBool, "the condition");
    if (const auto constant = EvaluateConstant(typed, variables_);
        constant && std::holds_alternative<bool>(*constant)) {
      sink_
          .Report(DiagnosticKind::kGuardConstant, typed.span,
                  fmt::format("this condition is always {}", std::get<bool>(*constant)))
          .Emit();
    }
    if (!all) {
      all = std::move(typed);
      return;
    }
    const Span span = all->span;
    all = TypedExpr::Call("and", ValueType::kBool, {*std::move(all), std::move(typed)}, span);
  };
  for (const ast::Within* within : place.within) add(within->when);
  add(when);
  return all;
}

void RuleBuilder::Ranges(const ast::Rule& rule, const Place& place, RuleScope& scope, TypedRule& typed) {
  for (const ast::RangeClause& clause : rule.ranges) {
    if (!clause.begin || !clause.end || clause.capture.text.empty()) continue;
    RuleScope::Bound bound;
    bound.capture.name = clause.capture.text;
    bound.capture.kind = TypedCapture::Kind::kInt;
    bound.span = clause.capture.span;
    bound.in_range = true;
    if (!scope.captures.emplace(clause.capture.text, bound).second) {
      sink_
          .Report(DiagnosticKind::kBadRange, clause.capture.span,
                  fmt::format("`{}` has two ranges", clause.capture.text))
          .Emit();
      typed.valid = false;
      continue;
    }
    scope.order.push_back(clause.capture.text);
    ExprTyper typer(variables_, place.unit, nullptr, sink_);
    TypedRange range{clause.capture.text, typer.Expect(*clause.begin, ValueType::kInt, "the start of a range"),
                     typer.Expect(*clause.end, ValueType::kInt, "the end of a range"), clause.span};
    const auto begin = EvaluateInt(range.begin, variables_), end = EvaluateInt(range.end, variables_);
    if (begin && end && *begin >= *end) {
      sink_.Report(DiagnosticKind::kBadRange, clause.span, fmt::format("the range {}..{} is empty", *begin, *end))
          .Help("a range ends before its second number")
          .Emit();
      typed.valid = false;
    }
    typed.ranges.push_back(std::move(range));
  }
}

void RuleBuilder::CollectPipeline(const ast::Pipeline& pipeline, const Place& place, RuleSide side, RuleScope& scope,
                                  PatternBuilder& patterns) {
  for (const ast::Term& term : pipeline.terms) {
    if (const auto* inner = std::get_if<std::unique_ptr<ast::Pipeline>>(&term.kind)) {
      if (*inner) CollectPipeline(**inner, place, side, scope, patterns);
    } else {
      patterns.Collect(Prefixes(place, side.side), *std::get_if<ast::Pattern>(&term.kind), side.binds);
    }
    if (!term.shape) continue;
    for (const ast::DimExpr& dim : term.shape->dims) {
      if (dim.kind != ast::DimExpr::Kind::kExpr || !dim.expr) continue;
      const bool alone = std::holds_alternative<ast::NameRef>(dim.expr->kind);
      std::vector<std::string> names;
      NamesOf(*dim.expr, names);
      for (const std::string& name : names) {
        if (variables_.Find(place.unit, name) != nullptr || scope.Find(name) != nullptr) continue;
        // In an expression a name that is nearly a parameter's is a slip, and not a size.
        if (alone || Nearest(name, variables_.NamesIn(place.unit)).empty()) scope.dims.insert(name);
      }
    }
  }
}

TypedShape RuleBuilder::BuildShape(const ast::ShapeExpr& shape, size_t unit, RuleScope& scope, bool& valid) {
  TypedShape typed;
  typed.span = shape.span;
  bool rest = false;
  for (const ast::DimExpr& dim : shape.dims) {
    TypedDim out;
    out.span = dim.span;
    if (dim.kind == ast::DimExpr::Kind::kRest) {
      out.kind = TypedDim::Kind::kRest;
      if (rest) {
        sink_.Report(DiagnosticKind::kShapeMismatch, dim.span, "`...` stands twice in one shape")
            .Help("use `_` for one axis of any size")
            .Emit();
        valid = false;
      }
      rest = true;
    } else if (dim.kind == ast::DimExpr::Kind::kExpr && dim.expr) {
      const auto* ref = std::get_if<ast::NameRef>(&dim.expr->kind);
      if (ref != nullptr && scope.dims.contains(ref->name)) {
        out.kind = TypedDim::Kind::kBind;
        out.name = ref->name;
      } else {
        out.kind = TypedDim::Kind::kExpr;
        scope.in_shape = true;
        out.expr = ExprTyper(variables_, unit, &scope, sink_).Expect(*dim.expr, ValueType::kInt, "a size");
        scope.in_shape = false;
        valid = valid && out.expr.kind != TypedExpr::Kind::kInvalid;
      }
    }
    typed.dims.push_back(std::move(out));
  }
  return typed;
}

TypedPipeline RuleBuilder::BuildPipeline(const ast::Pipeline& pipeline, const Place& place, RuleSide side,
                                         RuleScope& scope, PatternBuilder& patterns, bool& valid) {
  TypedPipeline typed;
  typed.span = pipeline.span;
  for (const ast::Term& term : pipeline.terms) {
    TypedTerm out;
    out.span = term.span;
    if (const auto* inner = std::get_if<std::unique_ptr<ast::Pipeline>>(&term.kind)) {
      if (!*inner) {
        valid = false;
        continue;
      }
      out.kind = std::make_shared<TypedPipeline>(BuildPipeline(**inner, place, side, scope, patterns, valid));
    } else {
      const auto& pattern = *std::get_if<ast::Pattern>(&term.kind);
      std::optional<TypedPattern> name =
          patterns.Build(Prefixes(place, side.side), pattern, Separator(side.side), side.binds);
      if (name && name->parts.empty() && name->regex.empty()) {
        sink_.Report(DiagnosticKind::kBadPattern, pattern.span, "an empty name").Emit();
        name.reset();
      }
      valid = valid && name;
      if (name) out.kind = *std::move(name);
    }
    if (term.shape) out.shape = BuildShape(*term.shape, place.unit, scope, valid);
    typed.terms.push_back(std::move(out));
  }
  for (const ast::OpCall& call : pipeline.ops) {
    typed.ops.push_back(CheckOp(call, variables_, place.unit, scope, sink_));
    valid = valid && typed.ops.back().spec != nullptr;
  }
  valid = valid && !typed.terms.empty();
  return typed;
}

namespace {

// Calls `visit` with each size in brackets, those of the source first.
void ForEachSize(const TypedPipeline& pipeline, const std::function<void(const TypedDim&)>& visit) {
  for (const TypedTerm& term : pipeline.terms) {
    if (const auto* inner = std::get_if<1>(&term.kind)) ForEachSize(**inner, visit);
    if (!term.shape) continue;
    for (const TypedDim& dim : term.shape->dims) visit(dim);
  }
}

void ForEachArgument(const TypedPipeline& pipeline, const std::function<void(const TypedExpr&)>& visit) {
  for (const TypedTerm& term : pipeline.terms) {
    if (const auto* inner = std::get_if<1>(&term.kind)) ForEachArgument(**inner, visit);
  }
  for (const TypedOp& op : pipeline.ops) {
    for (const auto& [name, value] : op.args) visit(value);
  }
}

// Names of sizes that are not known, each as often as it stands there.
void OpenSizes(const TypedExpr& expr, const std::set<std::string>& known, std::vector<const TypedExpr*>& open) {
  if (expr.kind == TypedExpr::Kind::kDim && !known.contains(expr.text)) open.push_back(&expr);
  for (const TypedExpr& arg : expr.args) OpenSizes(arg, known, open);
}

// Whether the one open name of a size can be told by the size: only +, -, * and / stand around it.
bool CanBeSolved(const TypedExpr& expr, const TypedExpr* open) {
  if (&expr == open) return true;
  if (expr.kind != TypedExpr::Kind::kCall) return false;
  const bool solvable =
      expr.text == "+" || expr.text == "-" || expr.text == "*" || expr.text == "/" || expr.text == "neg";
  return solvable &&
         std::any_of(expr.args.begin(), expr.args.end(), [&](const TypedExpr& arg) { return CanBeSolved(arg, open); });
}

}  // namespace

// Each size that a rule uses by name must be bound: by a bracket that is the name alone, or an expression of which it
// is the one open name.
bool RuleBuilder::CheckSizes(const TypedRule& rule) {
  std::set<std::string> known;
  std::vector<const TypedExpr*> sizes;
  for (const TypedPipeline* side : {&rule.source, &rule.target}) {
    ForEachSize(*side, [&](const TypedDim& dim) {
      if (dim.kind == TypedDim::Kind::kBind) known.insert(dim.name);
      if (dim.kind == TypedDim::Kind::kExpr) sizes.push_back(&dim.expr);
    });
  }
  for (bool grown = true; grown;) {
    grown = false;
    for (const TypedExpr* size : sizes) {
      std::vector<const TypedExpr*> open;
      OpenSizes(*size, known, open);
      if (open.size() == 1 && CanBeSolved(*size, open[0])) grown = known.insert(open[0]->text).second || grown;
    }
  }
  const size_t before = sink_.error_count();
  std::set<std::string> told;
  const auto check = [&](const TypedExpr& expr) {
    std::vector<const TypedExpr*> open;
    OpenSizes(expr, known, open);
    for (const TypedExpr* name : open) {
      if (!told.insert(name->text).second) continue;
      sink_
          .Report(DiagnosticKind::kUnknownName, name->span,
                  fmt::format("no size in brackets tells what `{}` is", name->text))
          .Note(
              "an expression binds a name if it is the only open one in it, stands there once, and +, -, * and / alone "
              "lead to it")
          .Help(fmt::format("write `{}` alone for one axis, or define it: `param {}: int;` or `let {} = …;`",
                            name->text, name->text, name->text))
          .Emit();
    }
  };
  for (const TypedExpr* size : sizes) check(*size);
  ForEachArgument(rule.source, check);
  return sink_.error_count() == before;
}

TypedRule RuleBuilder::BuildRule(const ast::Rule& rule, Span span, const Place& place) {
  TypedRule typed;
  typed.unit = static_cast<uint32_t>(place.unit);
  typed.span = span;
  typed.reversible = rule.reversible;
  typed.overrides = rule.overrides;
  typed.derives = rule.derives;
  for (const ast::Within* within : place.within) {
    if (within->exactly) typed.exactly = *within->exactly;
  }
  if (rule.exactly) typed.exactly = *rule.exactly;
  RuleScope scope;
  scope.in_layer = place.in_layer;
  Ranges(rule, place, scope, typed);
  const size_t before = sink_.error_count();
  PatternBuilder patterns(variables_, place.unit, scope, sink_);
  const RuleSide left{Side::kSource, true}, right{rule.derives ? Side::kSource : Side::kTarget, false};
  CollectPipeline(rule.source, place, left, scope, patterns);
  CollectPipeline(rule.target, place, right, scope, patterns);
  typed.source = BuildPipeline(rule.source, place, left, scope, patterns, typed.valid);
  typed.target = BuildPipeline(rule.target, place, right, scope, patterns, typed.valid);
  typed.when = BuildWhen(rule.when, place, scope);
  for (const ast::RangeClause& clause : rule.ranges) {
    const RuleScope::Bound* bound = scope.Find(clause.capture.text);
    if (bound == nullptr || bound->on_source || bound->used) continue;
    sink_
        .Report(DiagnosticKind::kBadRange, clause.capture.span,
                fmt::format("the rule has no capture `{}`", clause.capture.text))
        .Help(DidYouMean(clause.capture.text, scope.order))
        .Emit();
    typed.valid = false;
  }
  for (const std::string& name : scope.order) typed.captures.push_back(scope.Find(name)->capture);
  typed.valid = typed.valid && sink_.error_count() == before;
  if (typed.valid) typed.valid = CheckSizes(typed);
  if (typed.valid) WarnUnused(rule, scope, typed);
  return typed;
}

namespace {

// The names that a rule reads and writes where one capture has this text and the others any. "" if that is
// not known.
std::string ExampleName(const TypedPattern& pattern, const std::vector<TypedCapture>& captures,
                        const std::string& varied, size_t which) {
  const auto text = [&](const std::string& name) -> std::string {
    const size_t index = name == varied ? which : 0;
    for (const TypedCapture& capture : captures) {
      if (capture.name != name) continue;
      if (capture.kind == TypedCapture::Kind::kInt) return index == 0 ? "0" : "1";
      if (capture.kind == TypedCapture::Kind::kChoice)
        return index < capture.choices.size() ? capture.choices[index] : "";
      if (capture.kind == TypedCapture::Kind::kRegex) return "";
    }
    return index == 0 ? "x" : "y";
  };
  std::string name;
  if (!pattern.regex.empty()) return "";
  for (const TypedPart& part : pattern.parts) {
    std::string piece = part.text;
    if (part.kind == TypedPart::Kind::kAlternatives || part.kind == TypedPart::Kind::kExpr) return "";
    if (part.kind == TypedPart::Kind::kCapture) piece = text(part.capture.name);
    if (part.kind == TypedPart::Kind::kReference) piece = text(part.text);
    if (piece.empty()) return "";
    name += piece;
  }
  return name;
}

std::string ExampleOfLoss(const TypedRule& rule, const std::string& capture) {
  if (rule.source.terms.size() != 1 || rule.target.terms.size() != 1) return "";
  const auto* source = std::get_if<TypedPattern>(&rule.source.terms[0].kind);
  const auto* target = std::get_if<TypedPattern>(&rule.target.terms[0].kind);
  if (source == nullptr || target == nullptr) return "";
  const std::string first = ExampleName(*source, rule.captures, capture, 0),
                    second = ExampleName(*source, rule.captures, capture, 1);
  const std::string both = ExampleName(*target, rule.captures, capture, 0);
  return first.empty() || second.empty() || both.empty()
             ? ""
             : fmt::format(": `{}` and `{}` both `{}`", first, second, both);
}

}  // namespace

void RuleBuilder::WarnUnused(const ast::Rule& rule, const RuleScope& scope, TypedRule& typed) {
  if (rule.reversible) return;  // an error there, with its reason
  for (const auto& [name, bound] : scope.captures) {
    if (!bound.on_source || bound.used || bound.capture.gather) continue;
    const bool wildcard = name[0] == '*';
    sink_
        .Report(DiagnosticKind::kUnusedCapture, bound.span,
                wildcard ? std::string("the right side does not use this wildcard")
                         : fmt::format("the right side does not use capture `{}`", name))
        .Note("all that it matches would become one target" + ExampleOfLoss(typed, name))
        .Emit();
  }
}

std::optional<TypedPattern> RuleBuilder::BuildName(const ast::Pattern& pattern, const Place& place, Side side,
                                                   RuleScope& scope) {
  PatternBuilder patterns(variables_, place.unit, scope, sink_);
  const std::vector<const ast::Pattern*> prefixes = Prefixes(place, side);
  const size_t before = sink_.error_count();
  patterns.Collect(prefixes, pattern, true);
  std::optional<TypedPattern> name = patterns.Build(prefixes, pattern, Separator(side), true);
  if (!name || sink_.error_count() != before) return std::nullopt;
  for (const TypedPart& part : name->parts) {
    if (part.kind != TypedPart::Kind::kCapture || !part.capture.gather) continue;
    sink_
        .Report(DiagnosticKind::kBadPattern, part.span,
                "a gather makes a list, and this statement names tensors one by one")
        .Help(fmt::format("write `{{{}:int}}`", part.capture.name))
        .Emit();
    return std::nullopt;
  }
  return name;
}

template <typename Typed>
std::optional<TypedPattern> RuleBuilder::BuildStart(const ast::Pattern& name, const ast::ExprPtr& when, Span span,
                                                    const Place& place, Side side, RuleScope& scope, Typed& typed) {
  typed.unit = static_cast<uint32_t>(place.unit);
  typed.span = span;
  std::optional<TypedPattern> pattern = BuildName(name, place, side, scope);
  typed.when = BuildWhen(when, place, scope);
  return pattern;
}

TypedDrop RuleBuilder::BuildDrop(const ast::Drop& drop, Span span, const Place& place) {
  TypedDrop typed;
  typed.only = drop.only;
  typed.reason = drop.reason.value_or("");
  RuleScope scope;
  scope.in_layer = place.in_layer;
  std::optional<TypedPattern> pattern = BuildStart(drop.pattern, drop.when, span, place, Side::kSource, scope, typed);
  typed.valid = pattern.has_value();
  if (pattern) typed.pattern = *std::move(pattern);
  if (typed.valid && typed.pattern.parts.empty() && typed.pattern.regex.empty()) {
    sink_.Report(DiagnosticKind::kBadPattern, drop.pattern.span, "an empty name").Emit();
    typed.valid = false;
  }
  if (drop.equals && typed.valid) {
    typed.equals = BuildEquals(drop, place, scope);
    typed.valid = typed.equals.has_value();
  }
  return typed;
}

namespace {

// The contents that `equals` knows by name, each with its one argument, if it has one.
struct KnownContents {
  std::string_view word, argument;
  bool required = false, integer = false;
};
constexpr KnownContents kKnownContents[] = {{"zeros", ""},
                                            {"ones", ""},
                                            {"constant", "value", true},
                                            {"iota", "first", false, true},
                                            {"tril", ""},
                                            {"inv_freq", "theta", true}};

}  // namespace

// A name in quotes, a word, or a word with its argument.
std::optional<TypedEquals> RuleBuilder::BuildEquals(const ast::Drop& drop, const Place& place, RuleScope& scope) {
  const ast::Expr& value = *drop.equals;
  if (std::holds_alternative<ast::Invalid>(value.kind)) return std::nullopt;
  TypedEquals typed;
  typed.span = value.span;
  ExprTyper typer(variables_, place.unit, &scope, sink_);
  const size_t before = sink_.error_count();
  if (std::holds_alternative<ast::StringLiteral>(value.kind)) {
    typed.kind = "tensor";
    typed.tensor = typer.TypeTensorName(value, "equals");
    return sink_.error_count() == before ? std::optional(std::move(typed)) : std::nullopt;
  }
  const auto* call = std::get_if<ast::CallExpr>(&value.kind);
  const auto* word = std::get_if<ast::NameRef>(&value.kind);
  typed.kind = call != nullptr ? call->function.text : word != nullptr ? word->name : "";
  const auto* known = std::find_if(std::begin(kKnownContents), std::end(kKnownContents),
                                   [&](const KnownContents& entry) { return entry.word == typed.kind; });
  const auto problem = [&](Span where, std::string message, std::string help) -> std::optional<TypedEquals> {
    sink_.Report(DiagnosticKind::kBadEquals, where, std::move(message)).Help(std::move(help)).Emit();
    return std::nullopt;
  };
  if (known == std::end(kKnownContents)) {
    std::vector<std::string> words;
    for (const KnownContents& entry : kKnownContents) words.emplace_back(entry.word);
    const std::string near = DidYouMean(typed.kind, words);
    return problem(
        value.span, "this is not what a tensor can be compared with",
        !near.empty() ? near : fmt::format("write the name of a source tensor in quotes, or one of {}", ListOf(words)));
  }
  const size_t given = call != nullptr ? call->args.size() : 0;
  const std::string example = fmt::format("write `{}({})`", known->word, known->argument);
  if (given > (known->argument.empty() ? 0U : 1U)) {
    return problem(value.span,
                   fmt::format("`{}` takes {}", known->word, known->argument.empty() ? "no argument" : "one argument"),
                   "");
  }
  if (given == 0) {
    if (known->required) return problem(value.span, fmt::format("`{}` lacks its argument", known->word), example);
    return typed;
  }
  const ast::CallArgument& argument = call->args[0];
  if (!argument.value) return std::nullopt;
  if (argument.name && argument.name->text != known->argument) {
    return problem(argument.name->span, fmt::format("`{}` has no such argument", known->word), example);
  }
  typed.args.emplace_back(known->argument,
                          typer.Expect(*argument.value, known->integer ? ValueType::kInt : ValueType::kFloat,
                                       fmt::format("`{}`", known->argument)));
  return sink_.error_count() == before ? std::optional(std::move(typed)) : std::nullopt;
}

std::optional<TypedModuleIs> RuleBuilder::BuildModule(const ast::ModuleIs& module, Span span, const Place& place) {
  TypedModuleIs typed;
  RuleScope scope;
  std::optional<TypedPattern> pattern =
      BuildStart(module.module, module.when, span, place, Side::kSource, scope, typed);
  if (!pattern) return std::nullopt;
  typed.module = *std::move(pattern);
  return typed;
}

std::optional<TypedInit> RuleBuilder::BuildInit(const ast::Init& init, Span span, const Place& place) {
  TypedInit typed;
  typed.kind = init.kind.text;
  RuleScope scope;
  std::optional<TypedPattern> pattern = BuildStart(init.pattern, init.when, span, place, Side::kTarget, scope, typed);
  static const std::vector<std::string> kinds = {"keep", "zeros", "ones", "constant", "normal"};
  const auto problem = [&](Span where, std::string message, std::string help) {
    sink_.Report(DiagnosticKind::kBadInit, where, std::move(message)).Help(std::move(help)).Emit();
    pattern.reset();
  };
  if (std::find(kinds.begin(), kinds.end(), typed.kind) == kinds.end()) {
    const std::string help = DidYouMean(typed.kind, kinds);
    problem(init.kind.span, fmt::format("a tensor cannot be initialized with `{}`", typed.kind),
            help.empty() ? fmt::format("write one of {}", ListOf(kinds)) : help);
    return std::nullopt;
  }
  std::vector<std::string> names;
  if (typed.kind == "constant") names = {"value"};
  if (typed.kind == "normal") names = {"mean", "std", "seed"};
  std::set<std::string> given;
  for (size_t i = 0; i < init.args.size(); ++i) {
    const ast::CallArgument& argument = init.args[i];
    if (!argument.value) continue;
    const std::string name = argument.name ? argument.name->text : i < names.size() ? names[i] : "";
    const Span where = argument.name ? argument.name->span : argument.value->span;
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      problem(where,
              names.empty() ? fmt::format("`{}` has no arguments", typed.kind)
                            : fmt::format("`{}` has no such argument", typed.kind),
              names.empty() ? "" : fmt::format("its arguments are {}", ListOf(names, "and")));
    } else if (!given.insert(name).second) {
      problem(where, fmt::format("`{}` is given twice", name), "");
    } else {
      ExprTyper typer(variables_, place.unit, nullptr, sink_);
      typed.args.emplace_back(name, typer.Expect(*argument.value, name == "seed" ? ValueType::kInt : ValueType::kFloat,
                                                 fmt::format("`{}`", name)));
    }
  }
  if (typed.kind == "constant" && init.args.empty())
    problem(init.kind.span, "`constant` lacks its value", "write `constant(1.5)`");
  if (!pattern) return std::nullopt;
  typed.pattern = *std::move(pattern);
  return typed;
}

std::optional<TypedPlace> RuleBuilder::BuildPlace(const ast::Place& statement, Span span, const Place& place) {
  TypedPlace typed;
  typed.device = statement.device.text;
  RuleScope scope;
  std::optional<TypedPattern> pattern =
      BuildStart(statement.pattern, statement.when, span, place, Side::kTarget, scope, typed);
  if (!IsDeviceName(typed.device)) {
    sink_
        .Report(DiagnosticKind::kBadPlacement, statement.device.span,
                fmt::format("`{}` is no device", EscapeText(typed.device)))
        .Help("a device is a name, and a number where there are several: `\"CPU\"`, `\"GPU:0\"`")
        .Emit();
    return std::nullopt;
  }
  if (!pattern) return std::nullopt;
  typed.pattern = *std::move(pattern);
  return typed;
}

std::optional<TypedShard> RuleBuilder::BuildShard(const ast::Shard& statement, Span span, const Place& place) {
  TypedShard typed;
  typed.group = statement.over.text;
  RuleScope scope;
  std::optional<TypedPattern> pattern =
      BuildStart(statement.pattern, statement.when, span, place, Side::kTarget, scope, typed);
  if (!pattern || !statement.axis) return std::nullopt;
  ExprTyper typer(variables_, place.unit, nullptr, sink_);
  typed.axis = typer.Expect(*statement.axis, ValueType::kInt, "the axis");
  if (typed.axis.kind == TypedExpr::Kind::kInvalid) return std::nullopt;
  typed.pattern = *std::move(pattern);
  return typed;
}

std::optional<TypedRename> RuleBuilder::BuildRename(const ast::RenamePair& pair, bool of_target, size_t unit) {
  TypedRename typed;
  typed.unit = static_cast<uint32_t>(unit);
  typed.span = pair.span;
  typed.of_target = of_target;
  RuleScope scope;
  PatternBuilder patterns(variables_, unit, scope, sink_);
  bool valid = true;
  const auto check = [&](const ast::Pattern& pattern) {
    std::string problem;
    Span span = pattern.span;
    if (!pattern.regex.empty()) problem = "a rename is of whole segments, and a whole-name regular expression is not";
    if (pattern.optional && &pattern == &pair.to)
      problem = "`?` says that a rename may find nothing, and stands behind what it looks for";
    for (const ast::PatternPart& part : pattern.parts) {
      const auto* capture = std::get_if<ast::CapturePart>(&part.kind);
      const bool list =
          std::holds_alternative<ast::AlternativesPart>(part.kind) || (capture != nullptr && capture->gather);
      if (!list) continue;
      problem = "a rename makes one name of one name, and this is a list";
      span = part.span;
    }
    if (problem.empty()) return;
    sink_.Report(DiagnosticKind::kBadPattern, span, problem).Help("write a rule, or one rename for each").Emit();
    valid = false;
  };
  check(pair.from);
  check(pair.to);
  if (!valid) return std::nullopt;
  if (pair.from.parts.empty() && !pair.from.invalid) {
    sink_.Report(DiagnosticKind::kBadPattern, pair.from.span, "a rename of nothing").Emit();
    return std::nullopt;
  }
  const size_t before = sink_.error_count();
  patterns.Collect({}, pair.from, true);
  patterns.Collect({}, pair.to, false);
  std::optional<TypedPattern> from =
      patterns.Build({}, pair.from, of_target ? target_separator_ : source_separator_, true);
  std::optional<TypedPattern> to =
      patterns.Build({}, pair.to, of_target ? source_separator_ : target_separator_, false);
  if (!from || !to || sink_.error_count() != before) return std::nullopt;
  typed.from = *std::move(from);
  typed.to = *std::move(to);
  return typed;
}

}  // namespace ckmap
