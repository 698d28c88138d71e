#include "compiler/sema/pattern_builder.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include "compiler/diag/did_you_mean.h"
#include "compiler/sema/overlap/automaton.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxRegexMemory = int64_t{1} << 20;

TypedCapture::Kind KindOf(ast::CapturePart::Kind kind) {
  switch (kind) {
    case ast::CapturePart::Kind::kPlain:
      return TypedCapture::Kind::kSegment;
    case ast::CapturePart::Kind::kInt:
      return TypedCapture::Kind::kInt;
    case ast::CapturePart::Kind::kPath:
      return TypedCapture::Kind::kPath;
    case ast::CapturePart::Kind::kChoice:
      return TypedCapture::Kind::kChoice;
    case ast::CapturePart::Kind::kRegex:
      return TypedCapture::Kind::kRegex;
  }
  return TypedCapture::Kind::kSegment;
}

std::string WildcardName(int number) { return fmt::format("*{}", number); }

}  // namespace

bool PatternBuilder::Emit(DiagnosticKind kind, Span span, std::string message, std::string help) {
  sink_.Report(kind, span, std::move(message)).Help(std::move(help)).Emit();
  return false;
}

bool PatternBuilder::CheckRegex(const std::string& regex, Span span, DiagnosticSink& sink) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxRegexMemory);
  const RE2 compiled(regex, options);
  if (compiled.ok() && !regex.empty()) return true;
  const std::string reason = regex.empty() ? "it is empty" : compiled.error();
  sink.Report(DiagnosticKind::kBadRegex, span, fmt::format("this regular expression cannot be used: {}", reason))
      .Help("the syntax is RE2's: no look-around and no back-references")
      .Emit();
  return false;
}

void PatternBuilder::Collect(std::span<const ast::Pattern* const> prefixes, const ast::Pattern& pattern, bool binds) {
  int wildcards = 0;
  const auto collect = [&](const ast::Pattern& piece) {
    for (const ast::PatternPart& part : piece.parts) {
      if (const auto* capture = std::get_if<ast::CapturePart>(&part.kind)) CollectCapture(*capture, part.span, binds);
      if (const auto* wildcard = std::get_if<ast::WildcardPart>(&part.kind)) {
        CollectWildcard(++wildcards, wildcard->path, part.span, binds);
      }
    }
    if (!piece.regex.empty()) CollectRegex(piece, binds);
  };
  for (const ast::Pattern* prefix : prefixes) collect(*prefix);
  collect(pattern);
}

void PatternBuilder::CollectWildcard(int number, bool path, Span span, bool binds) {
  if (!binds) return;
  const std::string name = WildcardName(number);
  if (scope_.Find(name) != nullptr) return;
  RuleScope::Bound bound;
  bound.capture.name = name;
  bound.capture.kind = path ? TypedCapture::Kind::kPath : TypedCapture::Kind::kSegment;
  bound.span = span;
  bound.on_source = true;
  scope_.captures.emplace(name, std::move(bound));
  scope_.order.push_back(name);
}

void PatternBuilder::CollectRegex(const ast::Pattern& pattern, bool binds) {
  const Span span = pattern.regex_span.end > 0 ? pattern.regex_span : pattern.span;
  if (!binds) return;
  if (!CheckRegex(pattern.regex, span, sink_)) {
    groups_unknown_ = true;
    return;
  }
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 compiled(pattern.regex, options);
  for (const auto& [name, group] : compiled.NamedCapturingGroups()) {
    RuleScope::Bound bound;
    bound.capture.name = name;
    bound.capture.kind = TypedCapture::Kind::kRegex;
    const std::optional<RegexGroup> part = GroupOfRegex(pattern.regex, name);
    bound.capture.regex = part ? part->regex : ".*";
    bound.capture.loose = !part || !part->free;
    bound.span = span;
    bound.on_source = true;
    if (scope_.captures.emplace(name, std::move(bound)).second) scope_.order.push_back(name);
  }
}

void PatternBuilder::CollectCapture(const ast::CapturePart& part, Span span, bool binds) {
  const std::string& name = part.name.text;
  const bool plain = part.kind == ast::CapturePart::Kind::kPlain;
  RuleScope::Bound* known = scope_.Find(name);
  if (known != nullptr) {
    const bool range_only = known->in_range && !known->on_source;
    if (binds && range_only) {
      known->on_source = true;
      known->span = span;
    }
    known->capture.gather = known->capture.gather || ((binds || range_only) && part.gather);
    if (plain || (known->capture.kind == KindOf(part.kind) && known->capture.choices == part.choices &&
                  known->capture.regex == part.regex)) {
      return;
    }
    sink_
        .Report(DiagnosticKind::kCaptureKinds, span,
                fmt::format("capture `{}` is {} here and {} there", name, Describe(KindOf(part.kind)),
                            Describe(known->capture.kind)))
        .With(known->span, "first bound here")
        .Help(fmt::format("give its kind once; elsewhere write `{{{}}}`", name))
        .Emit();
    return;
  }
  if (!binds && !part.gather) return;
  if (variables_.Find(unit_, name) != nullptr) {
    Emit(DiagnosticKind::kCaptureIsVariable, part.name.span,
         fmt::format("`{}` is a parameter or value of this file, and cannot be captured", name),
         "give the capture another name");
    return;
  }
  RuleScope::Bound bound;
  bound.capture = {name, KindOf(part.kind), part.choices, part.regex, part.gather};
  bound.span = span;
  bound.on_source = binds;
  if (part.kind == ast::CapturePart::Kind::kRegex) CheckRegex(part.regex, span, sink_);
  scope_.captures.emplace(name, std::move(bound));
  scope_.order.push_back(name);
}

std::optional<TypedPattern> PatternBuilder::Build(std::span<const ast::Pattern* const> prefixes,
                                                  const ast::Pattern& pattern, std::string_view separator, bool binds) {
  TypedPattern out;
  out.optional = pattern.optional;
  out.span = pattern.span;
  if (pattern.invalid) return std::nullopt;
  bool valid = true;
  int wildcards = 0;
  const auto add = [&](const ast::Pattern& piece) {
    if (piece.invalid) valid = false;
    if (piece.parts.empty() && piece.regex.empty()) return;
    if (!out.text.empty()) {
      TypedPart join;
      join.text = separator;
      join.span = piece.span;
      out.parts.push_back(std::move(join));
      out.text += separator;
    }
    out.text += piece.text;
    for (const ast::PatternPart& part : piece.parts) valid = AddPart(part, binds, wildcards, out) && valid;
  };
  for (const ast::Pattern* prefix : prefixes) add(*prefix);
  if (!pattern.regex.empty()) {
    if (!out.text.empty()) {
      Emit(DiagnosticKind::kBadPattern, pattern.span, "a whole-name regular expression inside `within`",
           "write the rule outside the block, or use a capture: `{x:/…/}`");
      return std::nullopt;
    }
    if (!binds) {
      Emit(DiagnosticKind::kBadPattern, pattern.span, "a regular expression cannot be written as a name");
      return std::nullopt;
    }
    out.regex = pattern.regex;
    out.text = pattern.text;
    return out;
  }
  add(pattern);
  if (!valid) return std::nullopt;
  return out;
}

bool PatternBuilder::AddPart(const ast::PatternPart& part, bool binds, int& wildcards, TypedPattern& out) {
  if (const auto* capture = std::get_if<ast::CapturePart>(&part.kind))
    return AddCapture(*capture, part.span, binds, out);
  if (const auto* wildcard = std::get_if<ast::WildcardPart>(&part.kind)) {
    return AddWildcard(*wildcard, part.span, binds, ++wildcards, out);
  }
  TypedPart typed;
  typed.span = part.span;
  if (const auto* literal = std::get_if<ast::LiteralPart>(&part.kind)) {
    typed.text = literal->text;
  } else if (const auto* alternatives = std::get_if<ast::AlternativesPart>(&part.kind)) {
    typed.kind = TypedPart::Kind::kAlternatives;
    typed.options = alternatives->options;
  } else if (const auto* arithmetic = std::get_if<ast::ExprPart>(&part.kind);
             arithmetic != nullptr && arithmetic->expr) {
    typed.kind = TypedPart::Kind::kExpr;
    ExprTyper typer(variables_, unit_, &scope_, sink_);
    typed.expr = typer.Expect(*arithmetic->expr, ValueType::kInt, "a number in a name");
    if (typed.expr.kind == TypedExpr::Kind::kInvalid) return false;
  } else {
    return false;
  }
  out.parts.push_back(std::move(typed));
  return true;
}

bool PatternBuilder::AddCapture(const ast::CapturePart& part, Span span, bool binds, TypedPattern& out) {
  TypedPart typed;
  typed.span = span;
  const std::string& name = part.name.text;
  RuleScope::Bound* bound = scope_.Find(name);
  if (bound == nullptr) {
    if (const VariableTable::Entry* entry = variables_.Find(unit_, name)) {
      if (binds) return false;  // reported when it was collected
      const ValueType type = entry->variable.type;
      if (type == ValueType::kFloat || type == ValueType::kBool || type == ValueType::kList) {
        return Emit(DiagnosticKind::kTypeMismatch, span,
                    fmt::format("`{}` is {}, and a name is made of integers and texts", name, Describe(type)), "");
      }
      typed.kind = TypedPart::Kind::kExpr;
      typed.expr.kind = TypedExpr::Kind::kVariable;
      typed.expr.type = entry->variable.type;
      typed.expr.text = entry->variable.qualified;
      typed.expr.span = span;
      out.parts.push_back(std::move(typed));
      return true;
    }
    if (groups_unknown_) return false;
    const std::string help = scope_.order.empty() ? "the left side binds no captures" : DidYouMean(name, scope_.order);
    return Emit(DiagnosticKind::kUnknownCapture, span, fmt::format("capture `{}` is not bound on the left side", name),
                help);
  }
  const bool list = bound->capture.gather;
  if (list && !part.gather && !(binds && bound->on_source)) {
    return Emit(DiagnosticKind::kBadPattern, span,
                fmt::format("`{}` gathers many values, and one is wanted here", name),
                fmt::format("write `{{{}:int...}}` to name a list", name));
  }
  const bool first = placed_.insert(name).second && (binds || !bound->on_source) && !bound->in_range;
  const bool captures_here =
      list || first || (bound->in_range && binds && bound->on_source && placed_.insert(name + "#").second);
  if (!binds) bound->used = true;
  if (captures_here) {
    typed.kind = TypedPart::Kind::kCapture;
    typed.capture = bound->capture;
  } else {
    typed.kind = TypedPart::Kind::kReference;
    typed.text = name;
  }
  out.parts.push_back(std::move(typed));
  return true;
}

bool PatternBuilder::AddWildcard(const ast::WildcardPart& part, Span span, bool binds, int number, TypedPattern& out) {
  const std::string name = WildcardName(number);
  RuleScope::Bound* bound = scope_.Find(name);
  const TypedCapture::Kind kind = part.path ? TypedCapture::Kind::kPath : TypedCapture::Kind::kSegment;
  if (bound == nullptr) {
    return Emit(DiagnosticKind::kWildcards, span,
                fmt::format("wildcard {} of the right side has no partner on the left", number),
                "the k-th wildcard on the right stands for the k-th on the left");
  }
  if (bound->capture.kind != kind) {
    sink_
        .Report(DiagnosticKind::kWildcards, span,
                fmt::format("wildcard {} is `{}` here and `{}` on the left side", number, part.path ? "**" : "*",
                            part.path ? "*" : "**"))
        .With(bound->span, "its partner")
        .Help("the k-th wildcard on the right stands for the k-th on the left")
        .Emit();
    return false;
  }
  TypedPart typed;
  typed.span = span;
  if (binds && placed_.insert(name).second) {
    typed.kind = TypedPart::Kind::kCapture;
    typed.capture = bound->capture;
  } else {
    typed.kind = TypedPart::Kind::kReference;
    typed.text = name;
    if (!binds) bound->used = true;
  }
  out.parts.push_back(std::move(typed));
  return true;
}

}  // namespace ckmap
