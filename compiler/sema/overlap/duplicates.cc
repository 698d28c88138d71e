#include "compiler/sema/overlap/duplicates.h"

#include <map>
#include <tuple>

#include <fmt/format.h>

namespace ckmap {
namespace {

bool SameShape(const std::optional<TypedShape>& a, const std::optional<TypedShape>& b) {
  if (a.has_value() != b.has_value()) return false;
  if (!a) return true;
  if (a->dims.size() != b->dims.size()) return false;
  for (size_t i = 0; i < a->dims.size(); ++i) {
    const TypedDim &x = a->dims[i], &y = b->dims[i];
    if (x.kind != y.kind || x.name != y.name || !SameExpr(x.expr, y.expr)) return false;
  }
  return true;
}

bool SamePipeline(const TypedPipeline& a, const TypedPipeline& b) {
  if (a.terms.size() != b.terms.size() || a.ops.size() != b.ops.size()) return false;
  for (size_t i = 0; i < a.terms.size(); ++i) {
    const TypedTerm &x = a.terms[i], &y = b.terms[i];
    if (x.kind.index() != y.kind.index() || !SameShape(x.shape, y.shape)) return false;
    if (const auto* pattern = std::get_if<TypedPattern>(&x.kind)) {
      if (!SamePattern(*pattern, *std::get_if<TypedPattern>(&y.kind))) return false;
    } else if (!SamePipeline(**std::get_if<1>(&x.kind), **std::get_if<1>(&y.kind))) {
      return false;
    }
  }
  for (size_t i = 0; i < a.ops.size(); ++i) {
    const TypedOp &x = a.ops[i], &y = b.ops[i];
    if (x.spec != y.spec || x.args.size() != y.args.size()) return false;
    for (size_t j = 0; j < x.args.size(); ++j) {
      if (x.args[j].first != y.args[j].first || !SameExpr(x.args[j].second, y.args[j].second)) return false;
    }
  }
  return true;
}

bool SameWhen(const std::optional<TypedExpr>& a, const std::optional<TypedExpr>& b) {
  return a.has_value() == b.has_value() && (!a || SameExpr(*a, *b));
}

// Every name that a pattern writes, if it is literals and alternatives only.
std::vector<std::string> LiteralNames(const TypedPattern& pattern) {
  constexpr size_t kMaxNames = 4096;
  std::vector<std::string> names(1);
  if (!pattern.regex.empty()) return {};
  for (const TypedPart& part : pattern.parts) {
    if (part.kind == TypedPart::Kind::kLiteral) {
      for (std::string& name : names) name += part.text;
    } else if (part.kind == TypedPart::Kind::kAlternatives && names.size() * part.options.size() <= kMaxNames) {
      std::vector<std::string> longer;
      for (const std::string& name : names) {
        for (const std::string& option : part.options) longer.push_back(name + option);
      }
      names = std::move(longer);
    } else {
      return {};
    }
  }
  return names;
}

class Checker {
 public:
  explicit Checker(DiagnosticSink& sink) : sink_(sink) {}

  void Rules(const std::vector<TypedRule>& rules, const std::vector<TypedDrop>& drops) {
    std::map<std::pair<uint32_t, std::string>, std::vector<const TypedRule*>> writers, readers;
    std::map<std::pair<uint32_t, std::string>, const TypedRule*> seen;
    for (const TypedRule& rule : rules) {
      if (!rule.valid) continue;
      if (Repeated(rule, seen)) continue;
      Terms(rule, rule.target,
            [&](const TypedTerm& term, const std::string& name) { Write(rule, term, name, writers); });
      Terms(rule, rule.source, [&](const TypedTerm&, const std::string& name) {
        readers[{rule.unit, name}].push_back(&rule);
      });
    }
    for (const TypedDrop& drop : drops) Dropped(drop, readers);
  }

 private:
  template <typename Visit>
  static void Terms(const TypedRule& rule, const TypedPipeline& pipeline, Visit visit) {
    for (const TypedTerm& term : pipeline.terms) {
      if (const auto* inner = std::get_if<1>(&term.kind)) {
        Terms(rule, **inner, visit);
      } else {
        for (const std::string& name : LiteralNames(std::get<0>(term.kind))) visit(term, name);
      }
    }
  }

  bool Repeated(const TypedRule& rule, std::map<std::pair<uint32_t, std::string>, const TypedRule*>& seen) {
    std::string key;
    for (const TypedTerm& term : rule.source.terms) {
      if (const auto* pattern = std::get_if<TypedPattern>(&term.kind)) key += pattern->text + "\n";
    }
    const auto [found, fresh] = seen.try_emplace({rule.unit, key}, &rule);
    if (fresh) return false;
    const TypedRule& first = *found->second;
    if (!SameRule(first, rule)) return false;
    sink_.Report(DiagnosticKind::kDuplicate, rule.span, "this rule stands here twice")
        .With(first.span, "first here")
        .Help("drop one of them")
        .Emit();
    return true;
  }

  void Write(const TypedRule& rule, const TypedTerm& term, const std::string& name,
             std::map<std::pair<uint32_t, std::string>, std::vector<const TypedRule*>>& writers) {
    std::vector<const TypedRule*>& others = writers[{rule.unit, name}];
    for (const TypedRule* other : others) {
      if (other != &rule) continue;  // two rules are compared with their conditions, as all patterns are
      sink_.Report(DiagnosticKind::kSameTarget, term.span, fmt::format("a rule writes `{}` twice", name))
          .Here("written again here")
          .Help("every target tensor is written once: take one of the names away")
          .Emit();
      break;
    }
    others.push_back(&rule);
  }

  void Dropped(const TypedDrop& drop,
               const std::map<std::pair<uint32_t, std::string>, std::vector<const TypedRule*>>& readers) {
    if (!drop.valid || drop.only || drop.when) return;
    for (const std::string& name : LiteralNames(drop.pattern)) {
      const auto found = readers.find({drop.unit, name});
      if (found == readers.end() || found->second[0]->when) continue;
      sink_
          .Report(DiagnosticKind::kDroppedAndUsed, drop.pattern.span,
                  fmt::format("`{}` is both dropped and used", name))
          .Here("dropped here")
          .With(found->second[0]->source.span, "used here")
          .Help("leave one of them out")
          .Emit();
    }
  }

  DiagnosticSink& sink_;
};

}  // namespace

bool SameRule(const TypedRule& a, const TypedRule& b) {
  return SamePipeline(a.source, b.source) && SamePipeline(a.target, b.target) && SameWhen(a.when, b.when);
}

void CheckDuplicates(const RuleSet& rules, DiagnosticSink& sink) {
  Checker(sink).Rules(rules.derived, {});
  Checker(sink).Rules(rules.rules, rules.drops);
  std::map<std::pair<uint32_t, std::string>, const TypedLayer*> layers;
  for (const TypedLayer& layer : rules.layers) {
    Checker(sink).Rules(layer.rules, layer.drops);
    const auto [found, fresh] = layers.try_emplace({layer.unit, layer.name}, &layer);
    if (fresh) continue;
    sink.Report(DiagnosticKind::kDuplicate, layer.name_span, fmt::format("layer `{}` is defined twice", layer.name))
        .With(found->second->name_span, "first defined here")
        .Emit();
  }
  std::map<std::tuple<uint32_t, bool, std::string>, const TypedRename*> renames;
  for (const TypedRename& rename : rules.renames) {
    const auto [found, fresh] = renames.try_emplace({rename.unit, rename.of_target, rename.from.text}, &rename);
    if (fresh) continue;
    sink.Report(DiagnosticKind::kDuplicate, rename.from.span, fmt::format("`{}` is renamed twice", rename.from.text))
        .With(found->second->from.span, "first renamed here")
        .Help("all renames of a file apply at once, so one left side has one right side")
        .Emit();
  }
}

}  // namespace ckmap
