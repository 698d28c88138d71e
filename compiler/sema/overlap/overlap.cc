// Which rules write one tensor, or read what is dropped. Patterns are compared as automata, and only those whose
// literal ends allow a common name (LanguageIndex); conditions are compared by Guards.
#include "compiler/sema/overlap/overlap.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "compiler/sema/overlap/alignment.h"
#include "compiler/sema/overlap/duplicates.h"
#include "compiler/sema/overlap/guards.h"
#include "compiler/sema/overlap/name_search.h"
#include "compiler/sema/overlap/naming_statements.h"

namespace ckmap {
namespace {

constexpr std::string_view kOneRule = "every target tensor has one rule";
constexpr size_t kGuards = 100, kCase = 10;  // work of comparing conditions, in moves of a search
constexpr size_t kMaxChoices = 64;           // names of one list of alternatives that a condition is compared with

class OverlapChecker {
 public:
  OverlapChecker(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink)
      : rules_(rules),
        variables_(variables),
        sink_(sink),
        languages_(rules, variables),
        names_(languages_, sink),
        aligner_(rules.target_separator, rules.source_separator == rules.target_separator) {}

  void Check() {
    std::vector<Language> sources, targets;
    for (const TypedRule& rule : rules_.rules) {
      if (!rule.valid) continue;
      Collect(rule, rule.source, sources);
      Collect(rule, rule.target, targets);
    }
    CompareAll(targets);
    std::vector<Language> derived;  // names of the source, apart from those of the target
    for (const TypedRule& rule : rules_.derived) {
      if (rule.valid) Collect(rule, rule.target, derived);
    }
    CompareAll(derived);
    for (const TypedLayer& layer : rules_.layers) {
      std::vector<Language> leaves;
      for (const TypedRule& rule : layer.rules) {
        if (rule.valid) Collect(rule, rule.target, leaves);
      }
      CompareAll(leaves);
    }
    const LanguageIndex by_source(sources);
    for (const TypedDrop& drop : rules_.drops) CheckDrop(drop, sources, by_source);
    for (const Language& stronger : sources) {
      if (!stronger.rule->overrides) continue;
      by_source.ForEachCandidate(stronger, [&](size_t weaker) { CheckShadow(stronger, sources[weaker]); });
    }
    CheckNamingStatements(rules_, variables_, languages_, names_, sink_);
    CheckConditions();
    names_.Finish();
  }

 private:
  void Collect(const TypedRule& rule, const TypedPipeline& pipeline, std::vector<Language>& out) {
    for (const TypedTerm& term : pipeline.terms) {
      if (const auto* inner = std::get_if<1>(&term.kind)) {
        Collect(rule, **inner, out);
      } else {
        out.push_back(languages_.Of(&rule, std::get<0>(term.kind)));
      }
    }
  }

  // ---- two rules for one target --------------------------------------------------------------------

  void CompareAll(const std::vector<Language>& targets) {
    const LanguageIndex index(targets);
    for (size_t i = 0; i < targets.size(); ++i) {
      index.ForEachCandidate(targets[i], [&](size_t j) {
        if (j < i) CompareTargets(targets[j], targets[i]);
      });
    }
  }

  // What the conditions of a rule say that parameters and captures are.
  using Facts = std::map<std::string, std::set<std::string>>;
  const Facts& FactsOf(const TypedRule& rule) {
    const auto [facts, fresh] = facts_.try_emplace(&rule);
    if (fresh && (rule.when || !rule.ranges.empty())) {
      Guards guards(variables_);
      if (rule.when) guards.Require(*rule.when);
      for (const TypedRange& range : rule.ranges) guards.RequireRange(range);
      facts->second = guards.Facts();
    }
    return facts->second;
  }

  // Whether what the conditions fix differs. Captures are the same where the patterns are, and can be read in one way.
  bool FactsExclude(const Language& a, const Language& b) {
    const Facts &first = FactsOf(*a.rule), &second = FactsOf(*b.rule);
    for (const auto& [key, values] : first) {
      const auto other = second.find(key);
      if (other == second.end()) continue;
      if (key.find('{') != std::string::npos &&
          (a.pattern->text != b.pattern->text || !HoldsCaptures(*a.pattern, key) || !names_.HasOneReading(a)))
        continue;
      if (std::none_of(values.begin(), values.end(),
                       [&](const std::string& value) { return other->second.contains(value); }))
        return true;
    }
    return false;
  }

  // Whether each `{name}` of a fact's key is a capture of the pattern; others are of one rule alone.
  static bool HoldsCaptures(const TypedPattern& pattern, const std::string& key) {
    for (size_t at = key.find('{'); at != std::string::npos; at = key.find('{', at + 1)) {
      const std::string name = key.substr(at + 1, key.find('}', at) - at - 1);
      const bool held = std::any_of(pattern.parts.begin(), pattern.parts.end(), [&](const TypedPart& part) {
        return part.kind == TypedPart::Kind::kReference
                   ? part.text == name
                   : part.kind == TypedPart::Kind::kCapture && !part.capture.gather && part.capture.name == name;
      });
      if (!held) return false;
    }
    return true;
  }

  bool SameLevel(uint32_t a, uint32_t b) const { return rules_.units[a].level == rules_.units[b].level; }

  void CompareTargets(const Language& a, const Language& b) {
    if (a.rule == b.rule || a.rule->overrides != b.rule->overrides || !SameLevel(a.rule->unit, b.rule->unit)) return;
    if (reported_.contains(b.rule)) return;  // once is enough to know that it must change
    const bool guarded = a.rule->when || b.rule->when;
    if (FactsExclude(a, b)) return;
    if (a.rule->unit == b.rule->unit && SameRule(*a.rule, *b.rule)) return;  // told as a duplicate
    auto [name, undecided] = names_.Find(a, b);
    if (!name && undecided.empty()) return;
    if (names_.TooMuch() && (guarded || !name))
      return names_.Undecided(b, &a, "the searches of this program together took too long");
    std::optional<Guards> both;
    if (guarded || !undecided.empty() || !a.rule->ranges.empty() || !b.rule->ranges.empty()) {
      const Alignment same =
          aligner_.Align(a, b, [&](const Language& language) { return names_.HasOneReading(language); });
      Guards& guards = both.emplace(Asserts());
      RequireBoth(a, b, same, guards);
      names_.Spend(kGuards + guards.work() * kCase);
      if (guards.Decide() == Answer::kNo) return;
      if (!undecided.empty()) return names_.Undecided(b, &a, std::move(undecided));
      if (guards.Decide() == Answer::kYes) name = Witness(a, b, same, guards, *name);
      if (!name) return names_.Undecided(b, &a, "no name was found for which their conditions can hold at once");
    }
    reported_.insert(b.rule);
    auto report = sink_.Report(DiagnosticKind::kSameTarget, b.pattern->span, fmt::format("two rules write `{}`", *name))
                      .Here("written again here")
                      .With(a.pattern->span, "first written here");
    if (!a.literal || !b.literal) static_cast<void>(std::move(report).Note(std::string(kOneRule)));
    if (guarded) static_cast<void>(std::move(report).Note(WhyNotProved(*both)));
    std::move(report)
        .Help(guarded ? "give both conditions of which one is `not` the other's, or say `override` in front of the "
                        "stronger rule"
              : a.literal && b.literal ? "every target tensor has one rule: drop one, give both conditions that "
                                         "exclude each other, or say `override` in front of the stronger one"
                                       : "make one of the patterns narrower, give both conditions that exclude each "
                                         "other, or say `override` in front of the stronger one")
        .Emit();
  }

  // A name for which the conditions of both rules can hold: `name`, or one of those that the conditions' own examples
  // lead to.
  std::optional<std::string> Witness(const Language& a, const Language& b, const Alignment& same, const Guards& guards,
                                     const std::string& name) {
    constexpr size_t kMaxExamples = 16;
    std::vector<std::string> tried = {name};
    for (size_t i = 0; i < guards.cases() && i < kMaxExamples; ++i) {
      CaptureTexts first = same.first.texts, second = same.second.texts;
      const CaptureTexts texts = guards.CaptureTexts(i);
      for (const auto& [key, text] : texts) {
        if (key.ends_with('\''))
          second.emplace(key.substr(0, key.size() - 1), text);
        else
          first.emplace(key, text);
      }
      for (const auto& [mine, other] : same.second.same) {
        if (const auto text = texts.find(other); text != texts.end()) second.emplace(mine, text->second);
      }
      if (auto candidate = names_.Candidate(a, first, b, second)) tried.push_back(*std::move(candidate));
    }
    return names_.CommonWhereBothApply(a, b, tried);
  }

  static std::string WhyNotProved(const Guards& guards) {
    if (guards.Decide() == Answer::kGaveUp)
      return "that their conditions exclude each other was not proved: there are too many cases";
    const std::string example = guards.Example();
    return example.empty() ? "their conditions can hold at once"
                           : fmt::format("their conditions can hold at once: where {}", example);
  }

  // What holds when both rules apply and write one name, beside the asserts.
  void RequireBoth(const Language& a, const Language& b, const Alignment& same, Guards& guards) {
    RequireRule(*a.rule, &same.first, guards);
    RequireRule(*b.rule, &same.second, guards);
    for (const auto& [left, right] : same.numbers) guards.RequireEqual(left, &same.first, right, &same.second);
  }

  const Guards& Asserts() {
    if (!asserts_) {
      asserts_.emplace(variables_);
      for (const TypedAssert& assertion : rules_.asserts) asserts_->Require(assertion.condition);
    }
    return *asserts_;
  }

  static void RequireRule(const TypedRule& rule, const CaptureNames* names, Guards& guards) {
    if (rule.when) guards.Require(*rule.when, names);
    for (const TypedRange& range : rule.ranges) guards.RequireRange(range, names);
    RequireSources(rule.source, names, guards);
  }

  // A rule applies where its sources are; of a list, each of them.
  static void RequireSources(const TypedPipeline& pipeline, const CaptureNames* names, Guards& guards) {
    for (const TypedTerm& term : pipeline.terms) {
      if (const auto* inner = std::get_if<1>(&term.kind)) {
        RequireSources(**inner, names, guards);
        continue;
      }
      const auto& pattern = std::get<0>(term.kind);
      if (!pattern.optional && pattern.regex.empty()) RequireChoices(pattern, 0, kMaxChoices, names, guards);
    }
  }

  static void RequireChoices(const TypedPattern& pattern, size_t from, size_t limit, const CaptureNames* names,
                             Guards& guards) {
    for (size_t i = from; i < pattern.parts.size(); ++i) {
      const TypedPart& part = pattern.parts[i];
      if (part.kind == TypedPart::Kind::kCapture && part.capture.gather) return;
      if (part.kind != TypedPart::Kind::kAlternatives) continue;
      if (part.options.size() > limit) return;
      for (const std::string& option : part.options) {
        TypedPattern chosen = pattern;
        chosen.parts[i] = TypedPart();
        chosen.parts[i].text = option;
        RequireChoices(chosen, i + 1, limit / part.options.size(), names, guards);
      }
      return;
    }
    guards.RequireSource(pattern, names);
  }

  // ---- drops ---------------------------------------------------------------------------------------

  void CheckDrop(const TypedDrop& drop, const std::vector<Language>& sources, const LanguageIndex& by_source) {
    if (drop.only || drop.when) return;
    const Language dropped = languages_.Of(nullptr, drop.pattern);
    bool reported = false;
    by_source.ForEachCandidate(dropped, [&](size_t index) {
      const Language& used = sources[index];
      if (reported || used.rule->when || used.rule->overrides || used.rule->unit != drop.unit) return;
      if (dropped.literal && used.literal) return;  // compared as texts
      const std::optional<std::string> name = names_.Common(dropped, used);
      if (!name) return;
      reported = true;
      sink_
          .Report(DiagnosticKind::kMayBeDroppedAndUsed, drop.pattern.span,
                  fmt::format("`{}` would be both dropped and used", *name))
          .Here("dropped here")
          .With(used.pattern->span, "used here")
          .Note("a checkpoint that holds such a tensor is refused")
          .Emit();
    });
  }

  // A rule whose sources all belong to one that overrides it.
  void CheckShadow(const Language& stronger, const Language& weaker) {
    if (weaker.rule->overrides || stronger.rule->when || stronger.rule->unit != weaker.rule->unit ||
        !names_.Covers(stronger, weaker))
      return;
    sink_.Report(DiagnosticKind::kShadowed, weaker.pattern->span, "this rule can never apply")
        .With(stronger.pattern->span, "this one overrides it for all its names")
        .Help("drop it, or make the pattern of the stronger one narrower")
        .Emit();
  }

  // ---- conditions that never hold ----------------------------------------------------------------------

  void CheckConditions() {
    Guards asserts(variables_);
    for (const TypedAssert& assertion : rules_.asserts) {
      asserts.Require(assertion.condition);
      if (asserts.Decide() != Answer::kNo) continue;
      sink_
          .Report(DiagnosticKind::kGuardConstant, assertion.condition.span,
                  "no parameters fulfil this `assert` and those before it")
          .Note("the migration can never run")
          .Emit();
      return;
    }
    const auto check = [&](const std::optional<TypedExpr>& when, const TypedRule* rule) {
      if (!when) return;
      const auto constant = EvaluateConstant(*when, variables_);
      if (constant) return;  // told where it was read
      Guards guards = asserts;
      guards.Require(*when);
      if (rule != nullptr) {
        for (const TypedRange& range : rule->ranges) guards.RequireRange(range);
        RequireSources(rule->source, nullptr, guards);
      }
      if (guards.Decide() != Answer::kNo) return;
      sink_.Report(DiagnosticKind::kGuardConstant, when->span, "this condition never holds")
          .Note("its parts contradict each other, the asserts of the program, or what the rule needs")
          .Emit();
    };
    for (const std::vector<TypedRule>* rules : {&rules_.derived, &rules_.rules}) {
      for (const TypedRule& rule : *rules) {
        if (rule.valid) check(rule.when, &rule);
      }
    }
    for (const TypedDrop& drop : rules_.drops) check(drop.when, nullptr);
    for (const TypedInit& init : rules_.inits) check(init.when, nullptr);
    for (const TypedLayer& layer : rules_.layers) check(layer.when, nullptr);
  }

  const RuleSet& rules_;
  const VariableTable& variables_;
  DiagnosticSink& sink_;
  Languages languages_;
  NameSearch names_;
  const Aligner aligner_;
  std::optional<Guards> asserts_;
  std::set<const TypedRule*> reported_;  // as writing what an earlier one writes
  std::unordered_map<const TypedRule*, Facts> facts_;
};

}  // namespace

void CheckOverlaps(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink) {
  OverlapChecker(rules, variables, sink).Check();
}

}  // namespace ckmap
