// Which statements name one tensor. Patterns are compared as automata, and only those whose literal
// ends allow a common name (LanguageIndex); conditions are compared by Guards.
#include "compiler/sema/overlap/overlap.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "compiler/sema/overlap/duplicates.h"
#include "compiler/sema/overlap/guards.h"
#include "compiler/sema/overlap/languages.h"

namespace ckmap {
namespace {

constexpr size_t kMaxStates = 50'000;        // of one search
constexpr size_t kMaxWork = 100'000'000;     // moves of all searches of one program
constexpr std::string_view kOneRule = "every target tensor has one rule";

// A statement that names tensors one by one: init, place, shard, drop. Where two of a file name one
// tensor, the one with more literal text decides; of two with equally much there must be no such tensor.
struct NamingStatement {
  std::string_view word;
  uint32_t unit = 0;
  Span span;
  const TypedPattern* pattern = nullptr;
  const std::optional<TypedExpr>* when = nullptr;
  std::string says;  // equal texts do not contradict each other
};

size_t LiteralSize(const TypedPattern& pattern) {
  size_t size = 0;
  for (const TypedPart& part : pattern.parts) size += part.kind == TypedPart::Kind::kLiteral ? part.text.size() : 0;
  return size;
}

std::string TextOf(const TypedExpr& expr) {
  std::string text = expr.text;
  if (expr.kind == TypedExpr::Kind::kInt) text = fmt::format("{}", expr.integer);
  if (expr.kind == TypedExpr::Kind::kNumber) text = fmt::format("{}", expr.number);
  if (expr.kind == TypedExpr::Kind::kBool) text = expr.boolean ? "true" : "false";
  for (const TypedExpr& arg : expr.args) text += "(" + TextOf(arg) + ")";
  return text;
}

class OverlapChecker {
 public:
  OverlapChecker(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink)
      : rules_(rules), variables_(variables), sink_(sink), languages_(rules, variables) {}

  void Check() {
    std::vector<Language> sources, targets;
    for (const TypedRule& rule : rules_.rules) {
      if (!rule.valid) continue;
      Collect(rule, rule.source, sources);
      Collect(rule, rule.target, targets);
    }
    CompareAll(targets);
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
    CheckNamingStatements();
    CheckConditions();
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

  // ---- searches, of which all together have a budget ----------------------------------------------------

  bool Exact(const Language& language) const {
    languages_.AutomatonOf(language);
    return language.exact;
  }

  // A name of both. What is not decided is told once.
  std::optional<std::string> CommonName(const Language& a, const Language& b) {
    if (a.literal && b.literal) return *a.literal == *b.literal ? a.literal : std::nullopt;
    if (!Exact(a) || !Exact(b)) return std::nullopt;
    return Settle(work_ > kMaxWork ? Found{Answer::kGaveUp, "", "", "", 0} : FindCommonWord(languages_.AutomatonOf(a), languages_.AutomatonOf(b), kMaxStates), b);
  }
  // Whether every name of `inner` is one of `outer`.
  bool Covers(const Language& outer, const Language& inner) {
    if (!Exact(outer) || !Exact(inner) || work_ > kMaxWork) return false;
    const Found found = FindWordOutside(languages_.AutomatonOf(inner), languages_.AutomatonOf(outer), kMaxStates);
    Settle(found, inner);
    return found.answer == Answer::kNo;
  }

  std::optional<std::string> Settle(Found found, const Language& language) {
    work_ += found.work;
    if (found.answer == Answer::kYes) return std::move(found.word);
    if (found.answer == Answer::kGaveUp && !std::exchange(gave_up_, true)) {
      sink_.Report(DiagnosticKind::kNotDecided, language.pattern->span, "whether names of this pattern overlap with others was not decided")
          .Note(work_ > kMaxWork ? "the searches of this program together took too long" : fmt::format("a search passed {} states", kMaxStates))
          .Help("bind checks it for the tensors that there are")
          .Emit();
    }
    return std::nullopt;
  }

  // ---- two rules for one target --------------------------------------------------------------------

  void CompareAll(const std::vector<Language>& targets) {
    const LanguageIndex index(targets);
    for (size_t i = 0; i < targets.size(); ++i) {
      index.ForEachCandidate(targets[i], [&](size_t j) {
        if (j > i) CompareTargets(targets[i], targets[j]);
      });
    }
  }

  bool SameLevel(uint32_t a, uint32_t b) const { return rules_.units[a].level == rules_.units[b].level; }

  void CompareTargets(const Language& a, const Language& b) {
    if (a.rule == b.rule || a.rule->overrides != b.rule->overrides || !SameLevel(a.rule->unit, b.rule->unit)) return;
    if (reported_.contains({a.rule, b.rule})) return;
    if (a.rule->unit == b.rule->unit && SameRule(*a.rule, *b.rule)) return;  // told as a duplicate
    const std::optional<std::string> name = CommonName(a, b);
    if (!name) return;
    const bool guarded = a.rule->when || b.rule->when;
    Guards guards(variables_);
    if (guarded) {
      RequireBoth(a, b, guards);
      if (guards.Decide() == Answer::kNo) return;
    }
    reported_.insert({a.rule, b.rule});
    auto report = sink_.Report(DiagnosticKind::kSameTarget, b.pattern->span, fmt::format("two rules write `{}`", *name))
                      .Here("written again here")
                      .With(a.pattern->span, "first written here");
    if (!a.literal || !b.literal) static_cast<void>(std::move(report).Note(std::string(kOneRule)));
    if (guarded) static_cast<void>(std::move(report).Note(WhyNotProved(guards)));
    std::move(report)
        .Help(guarded ? "give both conditions of which one is `not` the other's, or say `override` in front of the stronger rule"
                      : a.literal && b.literal ? "every target tensor has one rule: drop one, give both conditions that exclude each other, or say `override` in front of the stronger one"
                      : "make one of the patterns narrower, give both conditions that exclude each other, or say `override` in front of the stronger one")
        .Emit();
  }

  static std::string WhyNotProved(const Guards& guards) {
    if (guards.Decide() == Answer::kGaveUp) return "that their conditions exclude each other was not proved: there are too many cases";
    const std::string example = guards.Example();
    return example.empty() ? "their conditions can hold at once" : fmt::format("their conditions can hold at once: where {}", example);
  }

  // What holds when both rules apply and write one name.
  void RequireBoth(const Language& a, const Language& b, Guards& guards) {
    for (const TypedAssert& assertion : rules_.asserts) guards.Require(assertion.condition);
    const CaptureNames names = Aligned(a, b, rules_.target_separator);
    RequireRule(*a.rule, nullptr, guards);
    RequireRule(*b.rule, &names, guards);
  }

  static void RequireRule(const TypedRule& rule, const CaptureNames* names, Guards& guards) {
    if (rule.when) guards.Require(*rule.when, names);
    for (const TypedRange& range : rule.ranges) guards.RequireRange(range, names);
    for (const TypedTerm& term : rule.source.terms) RequireSources(term, names, guards);
  }

  // A rule applies where its sources are.
  static void RequireSources(const TypedTerm& term, const CaptureNames* names, Guards& guards) {
    const auto* pattern = std::get_if<TypedPattern>(&term.kind);
    if (pattern == nullptr || pattern->optional || !pattern->regex.empty()) return;
    const bool one = std::none_of(pattern->parts.begin(), pattern->parts.end(), [](const TypedPart& part) {
      return part.kind == TypedPart::Kind::kAlternatives || (part.kind == TypedPart::Kind::kCapture && part.capture.gather);
    });
    if (one) guards.RequireSource(*pattern, names);
  }

  // A pattern's text and captures in turn, up to what is neither.
  struct Piece {
    bool capture = false;
    std::string text;  // of a capture its name
    friend bool operator==(const Piece&, const Piece&) = default;
  };
  struct Pieces {
    std::vector<Piece> list;
    bool whole = true;
  };
  static Pieces PiecesOf(const TypedPattern& pattern) {
    Pieces pieces;
    pieces.whole = !pattern.parts.empty();
    for (const TypedPart& part : pattern.parts) {
      const bool literal = part.kind == TypedPart::Kind::kLiteral, capture = part.kind == TypedPart::Kind::kCapture;
      if (!literal && !capture && part.kind != TypedPart::Kind::kReference) {
        pieces.whole = false;
        break;
      }
      if (literal && !pieces.list.empty() && !pieces.list.back().capture) pieces.list.back().text += part.text;
      else pieces.list.push_back({!literal, capture ? part.capture.name : part.text});
    }
    return pieces;
  }

  // Whether a capture of the language's rule lies inside of one segment, and is one text.
  static bool IsInSegment(const Language& language, const std::string& name) {
    if (language.rule == nullptr) return false;
    const auto& captures = language.rule->captures;
    const auto found = std::find_if(captures.begin(), captures.end(), [&](const TypedCapture& capture) { return capture.name == name; });
    return found != captures.end() && !found->gather && (found->kind == TypedCapture::Kind::kSegment || found->kind == TypedCapture::Kind::kInt);
  }

  // Captures of `b` that have the value of a capture of `a` wherever the two name one tensor. Both patterns are followed up
  // to their first difference. If there is none, captures at the same places are the same, if names can be read in one way
  // only; if there is one, those are that fill a segment in front of it, which a separator ends on both sides.
  CaptureNames Aligned(const Language& a, const Language& b, const std::string& separator) {
    const Pieces left = PiecesOf(*a.pattern), right = PiecesOf(*b.pattern);
    CaptureNames all, segments;
    bool clear = true;     // no capture of `b` stands for two of `a`
    bool in_step = true;   // all captures so far are segments that end
    size_t i = 0;
    for (; i < left.list.size() && i < right.list.size(); ++i) {
      const Piece &mine = left.list[i], &other = right.list[i];
      if (mine.capture != other.capture || (!mine.capture && mine != other)) break;
      if (!mine.capture) continue;
      const auto ends = [&](const Pieces& pieces) { return i + 1 < pieces.list.size() && !pieces.list[i + 1].capture && pieces.list[i + 1].text.starts_with(separator); };
      in_step = in_step && IsInSegment(a, mine.text) && IsInSegment(b, other.text) && ends(left) && ends(right);
      clear = all.emplace(other.text, mine.text).second && clear;
      in_step = in_step && clear;
      if (in_step) segments.emplace(other.text, mine.text);
    }
    const bool same = left.whole && right.whole && i == left.list.size() && i == right.list.size();
    if (!same || !clear) return segments;
    if (all.size() <= 1 || work_ > kMaxWork) return all;
    for (const Language* language : {&a, &b}) {
      const Found found = FindTwoReadings(languages_.AutomatonOf(*language), kMaxStates);
      work_ += found.work;
      if (found.answer != Answer::kNo) return segments;
    }
    return all;
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
      const std::optional<std::string> name = CommonName(dropped, used);
      if (!name) return;
      reported = true;
      sink_.Report(DiagnosticKind::kMayBeDroppedAndUsed, drop.pattern.span, fmt::format("`{}` would be both dropped and used", *name))
          .Here("dropped here")
          .With(used.pattern->span, "used here")
          .Note("a checkpoint that holds such a tensor is refused")
          .Emit();
    });
  }

  // A rule whose sources all belong to one that overrides it.
  void CheckShadow(const Language& stronger, const Language& weaker) {
    if (weaker.rule->overrides || stronger.rule->when || stronger.rule->unit != weaker.rule->unit || !Covers(stronger, weaker)) return;
    sink_.Report(DiagnosticKind::kShadowed, weaker.pattern->span, "this rule can never apply")
        .With(stronger.pattern->span, "this one overrides it for all its names")
        .Help("drop it, or make the pattern of the stronger one narrower")
        .Emit();
  }

  // ---- statements that name tensors one by one --------------------------------------------------------

  void CheckNamingStatements() {
    std::vector<NamingStatement> inits, places, shards, drops;
    for (const TypedInit& init : rules_.inits) {
      std::string says = init.kind;
      for (const auto& [name, value] : init.args) says += " " + name + " " + TextOf(value);
      inits.push_back({"init", init.unit, init.span, &init.pattern, &init.when, std::move(says)});
    }
    for (const TypedPlace& place : rules_.places) places.push_back({"place", place.unit, place.span, &place.pattern, &place.when, place.device});
    for (const TypedShard& shard : rules_.shards) shards.push_back({"shard", shard.unit, shard.span, &shard.pattern, &shard.when, shard.group});
    for (const TypedDrop& drop : rules_.drops) {
      if (!drop.only) drops.push_back({"drop", drop.unit, drop.span, &drop.pattern, &drop.when, ""});
    }
    CheckRenames();
    CompareStatements(inits);
    CompareStatements(places);
    CompareStatements(shards);
    CompareStatements(drops);
  }

  // Of two renames that fit one run of segments the one with more literal text decides.
  void CheckRenames() {
    std::vector<NamingStatement> renames;
    for (const TypedRename& rename : rules_.renames) {
      if (rename.from.text == rename.to.text) {
        sink_.Report(DiagnosticKind::kNeverMatters, rename.span, "this rename changes nothing").Help("take it away").Emit();
      }
      renames.push_back({"rename", rename.unit, rename.span, &rename.from, &no_condition_, rename.from.text});
    }
    std::vector<Language> languages;
    for (const NamingStatement& rename : renames) languages.push_back(languages_.Of(nullptr, *rename.pattern));
    const LanguageIndex index(languages);
    for (size_t i = 0; i < renames.size(); ++i) {
      bool reported = false;
      index.ForEachCandidate(languages[i], [&](size_t j) {
        reported = reported || (j < i && renames[i].unit == renames[j].unit && rules_.renames[i].of_target == rules_.renames[j].of_target && Contradict(renames[j], languages[j], renames[i], languages[i], [](const std::string&) { return false; }));
      });
    }
  }

  void CompareStatements(const std::vector<NamingStatement>& statements) {
    std::vector<Language> languages;
    for (const NamingStatement& statement : statements) languages.push_back(languages_.Of(nullptr, *statement.pattern));
    const LanguageIndex index(languages);
    for (size_t i = 0; i < statements.size(); ++i) {
      bool reported = false;
      index.ForEachCandidate(languages[i], [&](size_t j) {
        if (reported || i == j || statements[i].unit != statements[j].unit) return;
        reported = j < i && Contradict(statements[j], languages[j], statements[i], languages[i], [&](const std::string& name) {
          return Decided(statements, languages, i, name);
        });
        reported = reported || Redundant(statements[j], languages[j], statements[i], languages[i], j < i);
      });
    }
  }

  // Whether a statement that says more of this name than `than` decides.
  bool Decided(const std::vector<NamingStatement>& statements, const std::vector<Language>& languages, size_t than, const std::string& name) {
    for (size_t i = 0; i < statements.size(); ++i) {
      if (statements[i].unit != statements[than].unit || *statements[i].when || LiteralSize(*statements[i].pattern) <= LiteralSize(*statements[than].pattern)) continue;
      if (languages[i].literal ? *languages[i].literal == name
                               : Exact(languages[i]) && FindCommonWord(languages_.AutomatonOf(languages[i]), Automaton::Literal(name), kMaxStates).answer == Answer::kYes) {
        return true;
      }
    }
    return false;
  }

  template <typename IsDecided>
  bool Contradict(const NamingStatement& a, const Language& left, const NamingStatement& b, const Language& right, IsDecided is_decided) {
    // Shards of one group are two cuts of one axis or of one tensor; of two groups they add up.
    if ((a.says == b.says) != (a.word == "shard") || a.word == "drop" || LiteralSize(*a.pattern) != LiteralSize(*b.pattern)) return false;
    const std::optional<std::string> name = CommonName(left, right);
    if (!name || is_decided(*name)) return false;
    Guards guards(variables_);
    for (const TypedAssert& assertion : rules_.asserts) guards.Require(assertion.condition);
    const CaptureNames names = Aligned(left, right, rules_.target_separator);  // without rules no segment counts
    if (*a.when) guards.Require(**a.when);
    if (*b.when) guards.Require(**b.when, &names);
    if (guards.Decide() == Answer::kNo) return false;
    sink_.Report(DiagnosticKind::kAmbiguous, b.pattern->span, fmt::format("two `{}` name `{}`, and neither says more of the name", a.word, *name))
        .With(a.pattern->span, "the other one")
        .Help("write out more of one name, or give both conditions that exclude each other")
        .Emit();
    return true;
  }

  // `b` names nothing that `a` does not name already, and says the same.
  bool Redundant(const NamingStatement& a, const Language& outer, const NamingStatement& b, const Language& inner, bool before) {
    if (*a.when || a.says != b.says || a.word == "shard") return false;
    const bool same = SamePattern(*a.pattern, *b.pattern);
    // What a wider `init` or `place` says a narrower one may take back, and a still narrower one say again.
    if ((same && !before) || !(same || (a.word == "drop" && Covers(outer, inner)))) return false;
    // Of two that name the same the later one is told.
    if (!same && !before && !*b.when && Covers(inner, outer)) return false;
    sink_.Report(DiagnosticKind::kNeverMatters, b.span, fmt::format("this `{}` never matters", b.word))
        .With(a.pattern->span, "this one names all its tensors already")
        .Help("take it away")
        .Emit();
    return true;
  }

  // ---- conditions that never hold ----------------------------------------------------------------------

  void CheckConditions() {
    Guards asserts(variables_);
    for (const TypedAssert& assertion : rules_.asserts) {
      asserts.Require(assertion.condition);
      if (asserts.Decide() != Answer::kNo) continue;
      sink_.Report(DiagnosticKind::kGuardConstant, assertion.condition.span, "no parameters fulfil this `assert` and those before it").Note("the migration can never run").Emit();
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
        for (const TypedTerm& term : rule->source.terms) RequireSources(term, nullptr, guards);
      }
      if (guards.Decide() != Answer::kNo) return;
      sink_.Report(DiagnosticKind::kGuardConstant, when->span, "this condition never holds")
          .Note("its parts contradict each other, the asserts of the program, or what the rule needs")
          .Emit();
    };
    for (const TypedRule& rule : rules_.rules) {
      if (rule.valid) check(rule.when, &rule);
    }
    for (const TypedDrop& drop : rules_.drops) check(drop.when, nullptr);
    for (const TypedInit& init : rules_.inits) check(init.when, nullptr);
    for (const TypedLayer& layer : rules_.layers) check(layer.when, nullptr);
  }

  const RuleSet& rules_;
  const VariableTable& variables_;
  DiagnosticSink& sink_;
  Languages languages_;
  const std::optional<TypedExpr> no_condition_;
  std::set<std::pair<const TypedRule*, const TypedRule*>> reported_;
  size_t work_ = 0;
  bool gave_up_ = false;
};

}  // namespace

void CheckOverlaps(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink) {
  OverlapChecker(rules, variables, sink).Check();
}

}  // namespace ckmap
