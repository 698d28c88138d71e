// Statements that name tensors one by one (init, place, shard, drop, rename): which of them contradict each other.
#include "compiler/sema/overlap/naming_statements.h"

#include <fmt/format.h>

#include "compiler/sema/overlap/alignment.h"
#include "compiler/sema/overlap/guards.h"

namespace ckmap {
namespace {

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

class NamingChecker {
 public:
  NamingChecker(const RuleSet& rules, const VariableTable& variables, const Languages& languages, NameSearch& names,
                DiagnosticSink& sink)
      : rules_(rules),
        variables_(variables),
        sink_(sink),
        languages_(languages),
        names_(names),
        aligner_(rules.target_separator, rules.source_separator == rules.target_separator) {}

  void Check() {
    std::vector<NamingStatement> inits, places, shards, drops;
    for (const TypedInit& init : rules_.inits) {
      std::string says = init.kind;
      for (const auto& [name, value] : init.args) says += " " + name + " " + TextOf(value);
      inits.push_back({"init", init.unit, init.span, &init.pattern, &init.when, std::move(says)});
    }
    for (const TypedPlace& place : rules_.places)
      places.push_back({"place", place.unit, place.span, &place.pattern, &place.when, place.device});
    for (const TypedShard& shard : rules_.shards)
      shards.push_back({"shard", shard.unit, shard.span, &shard.pattern, &shard.when, shard.group});
    for (const TypedDrop& drop : rules_.drops) {
      if (drop.only) continue;
      std::string says;
      if (drop.equals) {
        says = drop.equals->kind + " " + (drop.equals->tensor.name ? drop.equals->tensor.name->text : "");
        for (const auto& [name, value] : drop.equals->args) says += TextOf(value);
      }
      drops.push_back({"drop", drop.unit, drop.span, &drop.pattern, &drop.when, std::move(says)});
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
        sink_.Report(DiagnosticKind::kNeverMatters, rename.span, "this rename changes nothing")
            .Help("take it away")
            .Emit();
      }
      renames.push_back({"rename", rename.unit, rename.span, &rename.from, &no_condition_, rename.from.text});
    }
    std::vector<Language> languages;
    for (const NamingStatement& rename : renames) languages.push_back(languages_.Of(nullptr, *rename.pattern));
    const LanguageIndex index(languages);
    for (size_t i = 0; i < renames.size(); ++i) {
      bool reported = false;
      index.ForEachCandidate(languages[i], [&](size_t j) {
        reported = reported || (j < i && renames[i].unit == renames[j].unit &&
                                rules_.renames[i].of_target == rules_.renames[j].of_target &&
                                Contradict(renames[j], languages[j], renames[i], languages[i],
                                           [](const std::string&) { return false; }));
      });
    }
  }

 private:
  void CompareStatements(const std::vector<NamingStatement>& statements) {
    std::vector<Language> languages;
    for (const NamingStatement& statement : statements) languages.push_back(languages_.Of(nullptr, *statement.pattern));
    const LanguageIndex index(languages);
    for (size_t i = 0; i < statements.size(); ++i) {
      bool reported = false;
      index.ForEachCandidate(languages[i], [&](size_t j) {
        if (reported || i == j || statements[i].unit != statements[j].unit) return;
        reported =
            j < i && Contradict(statements[j], languages[j], statements[i], languages[i],
                                [&](const std::string& name) { return Decided(statements, languages, i, name); });
        reported = reported || Redundant(statements[j], languages[j], statements[i], languages[i], j < i);
      });
    }
  }

  // Whether a statement that says more of this name than `than` decides.
  bool Decided(const std::vector<NamingStatement>& statements, const std::vector<Language>& languages, size_t than,
               const std::string& name) {
    for (size_t i = 0; i < statements.size(); ++i) {
      if (statements[i].unit != statements[than].unit || *statements[i].when ||
          LiteralSize(*statements[i].pattern) <= LiteralSize(*statements[than].pattern))
        continue;
      if (names_.Has(languages[i], name)) return true;
    }
    return false;
  }

  template <typename IsDecided>
  bool Contradict(const NamingStatement& a, const Language& left, const NamingStatement& b, const Language& right,
                  IsDecided is_decided) {
    // Shards of one group are two cuts of one axis or of one tensor; of two groups they add up.
    if ((a.says == b.says) != (a.word == "shard") || a.word == "drop" ||
        LiteralSize(*a.pattern) != LiteralSize(*b.pattern))
      return false;
    const std::optional<std::string> name = names_.Common(left, right);
    if (!name || is_decided(*name)) return false;
    if (names_.TooMuch()) {
      names_.Undecided(right, &left, "the searches of this program together took too long");
      return false;
    }
    Guards guards(variables_);
    for (const TypedAssert& assertion : rules_.asserts) guards.Require(assertion.condition);
    if (*a.when || *b.when) {
      const Alignment same =
          aligner_.Align(left, right, [&](const Language& language) { return names_.HasOneReading(language); });
      for (const auto& [x, y] : same.numbers) guards.RequireEqual(x, &same.first, y, &same.second);
      if (*a.when) guards.Require(**a.when, &same.first);
      if (*b.when) guards.Require(**b.when, &same.second);
      if (guards.Decide() == Answer::kNo) return false;
    }
    sink_
        .Report(DiagnosticKind::kAmbiguous, b.pattern->span,
                fmt::format("two `{}` name `{}`, and neither says more of the name", a.word, *name))
        .With(a.pattern->span, "the other one")
        .Help("write out more of one name, or give both conditions that exclude each other")
        .Emit();
    return true;
  }

  // `b` names nothing that `a` does not name already, and says the same.
  bool Redundant(const NamingStatement& a, const Language& outer, const NamingStatement& b, const Language& inner,
                 bool before) {
    if (*a.when || a.says != b.says || a.word == "shard") return false;
    const bool same = SamePattern(*a.pattern, *b.pattern);
    // What a wider `init` or `place` says a narrower one may take back, and a still narrower one say again.
    if ((same && !before) || !(same || (a.word == "drop" && names_.Covers(outer, inner)))) return false;
    // Of two that name the same the later one is told.
    if (!same && !before && !*b.when && names_.Covers(inner, outer)) return false;
    sink_.Report(DiagnosticKind::kNeverMatters, b.span, fmt::format("this `{}` never matters", b.word))
        .With(a.pattern->span, "this one names all its tensors already")
        .Help("take it away")
        .Emit();
    return true;
  }

  const RuleSet& rules_;
  const VariableTable& variables_;
  DiagnosticSink& sink_;
  const Languages& languages_;
  NameSearch& names_;
  const Aligner aligner_;
  const std::optional<TypedExpr> no_condition_;
};

}  // namespace

void CheckNamingStatements(const RuleSet& rules, const VariableTable& variables, const Languages& languages,
                           NameSearch& names, DiagnosticSink& sink) {
  NamingChecker(rules, variables, languages, names, sink).Check();
}

}  // namespace ckmap
