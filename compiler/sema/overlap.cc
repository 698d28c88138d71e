#include "compiler/sema/overlap.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "compiler/sema/automaton.h"
#include "compiler/sema/pattern_builder.h"

namespace ckmap {
namespace {

constexpr size_t kMaxStates = 50'000;      // of one search
constexpr size_t kMaxPairs = 20'000;       // searches of one program
constexpr int64_t kMaxAssignments = 200'000;

// The names that one term matches or writes.
struct Language {
  const TypedRule* rule = nullptr;
  const TypedDrop* drop = nullptr;
  const TypedPattern* pattern = nullptr;
  Automaton automaton;
  std::string prefix, suffix;  // literal ends, to tell most pairs apart at once
  bool exact = true;           // every word of it is a name that the term can have
};

class Languages {
 public:
  Languages(const RuleSet& rules, const VariableTable& variables) : rules_(rules), variables_(variables) {}

  // Numbers of a range; nullopt: not known, or too many.
  std::optional<std::pair<int64_t, int64_t>> RangeOf(const TypedRule& rule, const std::string& capture) const {
    for (const TypedRange& range : rule.ranges) {
      const auto begin = EvaluateInt(range.begin, variables_), end = EvaluateInt(range.end, variables_);
      if (range.capture == capture && begin && end && *begin >= 0) return std::pair(*begin, *end);
    }
    return std::nullopt;
  }

  std::optional<int64_t> Value(const TypedExpr& expr, const std::map<std::string, int64_t>& captures) const {
    if (expr.kind == TypedExpr::Kind::kCapture) {
      const auto found = captures.find(expr.text);
      return found == captures.end() ? std::nullopt : std::optional(found->second);
    }
    if (expr.kind != TypedExpr::Kind::kCall) return EvaluateInt(expr, variables_);
    std::vector<int64_t> args;
    for (const TypedExpr& arg : expr.args) {
      const auto value = Value(arg, captures);
      if (!value) return std::nullopt;
      args.push_back(*value);
    }
    if (args.size() == 1 && expr.text == "neg") return IntegerOp("-", 0, args[0]);
    return args.size() == 2 ? IntegerOp(expr.text, args[0], args[1]) : std::nullopt;
  }

  static void CapturesOf(const TypedExpr& expr, std::vector<std::string>& names) {
    if (expr.kind == TypedExpr::Kind::kCapture && std::find(names.begin(), names.end(), expr.text) == names.end()) names.push_back(expr.text);
    for (const TypedExpr& arg : expr.args) CapturesOf(arg, names);
  }

  // Calls `visit` with every assignment of the captures; false: a range is open or they are too many.
  template <typename Visit>
  bool ForEachAssignment(const TypedRule& rule, const std::vector<std::string>& names, Visit visit) const {
    std::vector<std::pair<int64_t, int64_t>> ranges;
    int64_t total = 1;
    for (const std::string& name : names) {
      const auto range = RangeOf(rule, name);
      if (!range || range->second <= range->first || range->second - range->first > kMaxAssignments) return false;
      total *= range->second - range->first;
      if (total > kMaxAssignments) return false;
      ranges.push_back(*range);
    }
    std::map<std::string, int64_t> values;
    for (int64_t index = 0; index < total; ++index) {
      int64_t rest = index;
      for (size_t i = names.size(); i-- > 0;) {
        const int64_t size = ranges[i].second - ranges[i].first;
        values[names[i]] = ranges[i].first + rest % size;
        rest /= size;
      }
      visit(values);
    }
    return true;
  }

  Automaton OfCapture(const TypedRule* rule, const TypedCapture& capture, std::string_view separator, bool& exact) const {
    if (rule != nullptr && capture.kind == TypedCapture::Kind::kInt) {
      const auto range = RangeOf(*rule, capture.name);
      if (range && range->second - range->first <= 1000) {
        std::vector<std::string> numbers;
        for (int64_t i = range->first; i < range->second; ++i) numbers.push_back(std::to_string(i));
        return Automaton::AnyOf(numbers);
      }
    }
    switch (capture.kind) {
      case TypedCapture::Kind::kSegment: return Automaton::Segment(separator);
      case TypedCapture::Kind::kInt: return Automaton::Digits();
      case TypedCapture::Kind::kPath: return Automaton::Path(separator);
      case TypedCapture::Kind::kChoice: return Automaton::AnyOf(capture.choices);
      case TypedCapture::Kind::kRegex: break;
    }
    std::optional<Automaton> regex = AutomatonOfRegex(capture.regex);
    if (!regex) exact = false;
    return regex ? *std::move(regex) : Automaton::Path(separator);
  }

  // Each part carries its index as tag.
  Language Of(const TypedRule* rule, const TypedDrop* drop, const TypedPattern& pattern, Side) const {
    const std::string& separator = rules_.source_separator;  // a capture takes its text from the source
    Language language;
    language.rule = rule;
    language.drop = drop;
    language.pattern = &pattern;
    if (!pattern.regex.empty()) {
      std::optional<Automaton> regex = AutomatonOfRegex(pattern.regex);
      language.exact = regex.has_value();
      if (regex) language.automaton = *std::move(regex);
      return language;
    }
    std::map<std::string, int> uses;
    uint16_t tag = 0;
    for (const TypedPart& part : pattern.parts) {
      ++tag;
      Automaton piece = OfPart(rule, part, separator, uses, language.exact);
      language.automaton = language.automaton.Then(piece.Tagged(tag));
    }
    for (const auto& [name, count] : uses) language.exact = language.exact && count == 1;
    if (!pattern.parts.empty() && pattern.parts.front().kind == TypedPart::Kind::kLiteral) language.prefix = pattern.parts.front().text;
    if (!pattern.parts.empty() && pattern.parts.back().kind == TypedPart::Kind::kLiteral) language.suffix = pattern.parts.back().text;
    return language;
  }

 private:
  Automaton OfPart(const TypedRule* rule, const TypedPart& part, const std::string& separator, std::map<std::string, int>& uses, bool& exact) const {
    switch (part.kind) {
      case TypedPart::Kind::kLiteral: return Automaton::Literal(part.text);
      case TypedPart::Kind::kAlternatives: return Automaton::AnyOf(part.options);
      case TypedPart::Kind::kCapture:
        ++uses[part.capture.name];
        return OfCapture(rule, part.capture, separator, exact);
      case TypedPart::Kind::kReference: {
        ++uses[part.text];
        if (rule != nullptr) {
          for (const TypedCapture& capture : rule->captures) {
            if (capture.name == part.text) return OfCapture(rule, capture, separator, exact);
          }
        }
        break;
      }
      case TypedPart::Kind::kExpr: {
        std::vector<std::string> names;
        CapturesOf(part.expr, names);
        for (const std::string& name : names) ++uses[name];
        std::set<std::string> values;
        const bool known = rule != nullptr && ForEachAssignment(*rule, names, [&](const std::map<std::string, int64_t>& captures) {
          const auto value = Value(part.expr, captures);
          if (value) values.insert(std::to_string(*value));
        });
        if (known) return Automaton::AnyOf({values.begin(), values.end()});
        break;
      }
    }
    exact = false;
    return Automaton::Digits();
  }

  const RuleSet& rules_;
  const VariableTable& variables_;
};

// ---- conditions that exclude each other ---------------------------------------------------------------

void Conjuncts(const TypedExpr& expr, std::vector<const TypedExpr*>& out) {
  if (expr.kind == TypedExpr::Kind::kCall && expr.text == "and") {
    for (const TypedExpr& arg : expr.args) Conjuncts(arg, out);
  } else {
    out.push_back(&expr);
  }
}

// Values of `x` for which `x op constant` holds, as an interval; false for other shapes.
bool Interval(const TypedExpr& expr, const VariableTable& variables, const TypedExpr*& subject, int64_t& low, int64_t& high) {
  if (expr.kind != TypedExpr::Kind::kCall || expr.args.size() != 2) return false;
  const auto bound = EvaluateInt(expr.args[1], variables);
  if (!bound || *bound == INT64_MIN || *bound == INT64_MAX) return false;
  subject = &expr.args[0];
  low = INT64_MIN;
  high = INT64_MAX;
  if (expr.text == "==") low = high = *bound;
  else if (expr.text == "<") high = *bound - 1;
  else if (expr.text == "<=") high = *bound;
  else if (expr.text == ">") low = *bound + 1;
  else if (expr.text == ">=") low = *bound;
  else return false;
  return true;
}

bool ExcludeEachOther(const TypedExpr& a, const TypedExpr& b, const VariableTable& variables) {
  const auto negates = [](const TypedExpr& x, const TypedExpr& y) { return x.kind == TypedExpr::Kind::kCall && x.text == "not" && SameExpr(x.args[0], y); };
  if (negates(a, b) || negates(b, a)) return true;
  if (a.kind == TypedExpr::Kind::kCall && b.kind == TypedExpr::Kind::kCall && a.args.size() == 2 && b.args.size() == 2 && a.text == "==" && SameExpr(a.args[0], b.args[0])) {
    if (b.text == "!=" && SameExpr(a.args[1], b.args[1])) return true;
    const auto left = EvaluateConstant(a.args[1], variables), right = EvaluateConstant(b.args[1], variables);
    if (b.text == "==" && left && right && left->index() == right->index() && *left != *right) return true;
  }
  if (b.kind == TypedExpr::Kind::kCall && b.text == "==" && a.kind == TypedExpr::Kind::kCall && a.text == "!=") return ExcludeEachOther(b, a, variables);
  const TypedExpr *x = nullptr, *y = nullptr;
  int64_t low_a = 0, high_a = 0, low_b = 0, high_b = 0;
  if (!Interval(a, variables, x, low_a, high_a) || !Interval(b, variables, y, low_b, high_b)) return false;
  return SameExpr(*x, *y) && std::max(low_a, low_b) > std::min(high_a, high_b);
}

// Two rules that can never both hold; without conditions they always can. A condition that is not
// understood is given the benefit of the doubt: bind sees its value.
bool MayBothHold(const std::optional<TypedExpr>& a, const std::optional<TypedExpr>& b, const VariableTable& variables) {
  if (!a && !b) return true;
  if (!a || !b) return false;
  if (SameExpr(*a, *b)) return true;
  std::vector<const TypedExpr*> left, right;
  Conjuncts(*a, left);
  Conjuncts(*b, right);
  for (const TypedExpr* x : left) {
    for (const TypedExpr* y : right) {
      if (ExcludeEachOther(*x, *y, variables)) return false;
    }
  }
  return false;
}

class OverlapChecker {
 public:
  OverlapChecker(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink)
      : rules_(rules), variables_(variables), sink_(sink), languages_(rules, variables) {}

  void Check() {
    for (const TypedRule& rule : rules_.rules) {
      if (!rule.valid) continue;
      Collect(rule, rule.source, Side::kSource, sources_);
      Collect(rule, rule.target, Side::kTarget, targets_);
      CheckOneToOne(rule);
    }
    for (const TypedLayer& layer : rules_.layers) {
      for (const TypedRule& rule : layer.rules) {
        if (rule.valid) CheckOneToOne(rule);
      }
    }
    for (size_t i = 0; i < targets_.size(); ++i) {
      for (size_t j = i + 1; j < targets_.size(); ++j) CompareTargets(targets_[i], targets_[j]);
    }
    for (const TypedDrop& drop : rules_.drops) CheckDrop(drop);
    for (const Language& stronger : sources_) {
      for (const Language& weaker : sources_) CheckShadow(stronger, weaker);
    }
  }

 private:
  void Collect(const TypedRule& rule, const TypedPipeline& pipeline, Side side, std::vector<Language>& out) {
    for (const TypedTerm& term : pipeline.terms) {
      if (const auto* inner = std::get_if<1>(&term.kind)) {
        Collect(rule, **inner, side, out);
      } else {
        out.push_back(languages_.Of(&rule, nullptr, std::get<0>(term.kind), side));
      }
    }
  }

  static bool EndsDiffer(const Language& a, const Language& b) {
    const size_t front = std::min(a.prefix.size(), b.prefix.size());
    if (a.prefix.compare(0, front, b.prefix, 0, front) != 0) return true;
    const size_t back = std::min(a.suffix.size(), b.suffix.size());
    return a.suffix.compare(a.suffix.size() - back, back, b.suffix, b.suffix.size() - back, back) != 0;
  }

  // A budget for all searches together, so that no program takes long.
  bool Spend() { return ++searches_ <= kMaxPairs; }

  void GaveUp(Span span) {
    if (std::exchange(gave_up_, true)) return;
    sink_.Report(DiagnosticKind::kNotDecided, span, "whether names of this pattern overlap with others was not decided").Note(fmt::format("a search passed {} states", kMaxStates)).Help("bind checks it for the tensors that there are").Emit();
  }

  bool SameLevel(uint32_t a, uint32_t b) const { return rules_.units[a].level == rules_.units[b].level; }

  void CompareTargets(const Language& a, const Language& b) {
    if (!a.exact || !b.exact || a.rule == b.rule || EndsDiffer(a, b)) return;
    if (!SameLevel(a.rule->unit, b.rule->unit) || a.rule->overrides != b.rule->overrides) return;
    if (LiteralName(*a.pattern) && LiteralName(*b.pattern)) return;  // compared as texts
    if (!MayBothHold(a.rule->when, b.rule->when, variables_) || !Spend()) return;
    const Found found = FindCommonWord(a.automaton, b.automaton, kMaxStates);
    if (found.answer == Answer::kGaveUp) GaveUp(b.pattern->span);
    if (found.answer != Answer::kYes || !reported_.insert({a.rule, b.rule}).second) return;
    sink_.Report(DiagnosticKind::kSameTarget, b.pattern->span, fmt::format("two rules write `{}`", found.word))
        .Here("written again here")
        .With(a.pattern->span, "first written here")
        .Note("every target tensor has one rule")
        .Help("make one of the patterns narrower, give both conditions that exclude each other, or say `override` in front of the stronger one")
        .Emit();
  }

  void CheckDrop(const TypedDrop& drop) {
    if (drop.only || drop.when) return;
    const Language dropped = languages_.Of(nullptr, &drop, drop.pattern, Side::kSource);
    if (!dropped.exact) return;
    for (const Language& used : sources_) {
      if (!used.exact || used.rule->when || used.rule->overrides || used.rule->unit != drop.unit || EndsDiffer(dropped, used)) continue;
      if ((LiteralName(drop.pattern) && LiteralName(*used.pattern)) || !Spend()) continue;
      const Found found = FindCommonWord(dropped.automaton, used.automaton, kMaxStates);
      if (found.answer == Answer::kGaveUp) GaveUp(drop.pattern.span);
      if (found.answer != Answer::kYes) continue;
      sink_.Report(DiagnosticKind::kMayBeDroppedAndUsed, drop.pattern.span, fmt::format("`{}` would be both dropped and used", found.word))
          .Here("dropped here")
          .With(used.pattern->span, "used here")
          .Note("a checkpoint that holds such a tensor is refused")
          .Emit();
      break;
    }
  }

  // A rule whose sources all belong to one that overrides it.
  void CheckShadow(const Language& stronger, const Language& weaker) {
    if (!stronger.rule->overrides || weaker.rule->overrides || stronger.rule->when || stronger.rule->unit != weaker.rule->unit) return;
    if (!stronger.exact || !weaker.exact || EndsDiffer(stronger, weaker) || !Spend()) return;
    const Found found = FindWordOutside(weaker.automaton, stronger.automaton, kMaxStates);
    if (found.answer != Answer::kNo) return;
    sink_.Report(DiagnosticKind::kShadowed, weaker.pattern->span, "this rule can never apply")
        .With(stronger.pattern->span, "this one overrides it for all its names")
        .Help("drop it, or make the pattern of the stronger one narrower")
        .Emit();
  }

  // ---- one to one --------------------------------------------------------------------------------

  void CheckOneToOne(const TypedRule& rule) {
    if (rule.target.terms.size() == 1) CheckArithmetic(rule, std::get<0>(rule.target.terms[0].kind), "target");
    const TypedPattern* source = rule.source.terms.size() == 1 ? std::get_if<0>(&rule.source.terms[0].kind) : nullptr;
    if (source != nullptr && rule.reversible) CheckArithmetic(rule, *source, "source");
    if (source == nullptr || rule.target.terms.size() != 1 || !source->regex.empty()) return;
    CheckReadings(rule, *source, std::get<0>(rule.target.terms[0].kind));
  }

  static std::string Assigned(const std::map<std::string, int64_t>& captures) {
    std::string text;
    for (const auto& [name, value] : captures) text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", name, value);
    return text;
  }

  // Numbers computed from captures: two assignments over the ranges must not give the same name.
  void CheckArithmetic(const TypedRule& rule, const TypedPattern& pattern, std::string_view side) {
    std::vector<std::string> names;
    bool arithmetic = false;
    for (const TypedPart& part : pattern.parts) {
      if (part.kind == TypedPart::Kind::kExpr) {
        Languages::CapturesOf(part.expr, names);
        arithmetic = true;
      }
    }
    if (!arithmetic || names.empty()) return;
    std::map<std::string, std::map<std::string, int64_t>> seen;
    bool reported = false;
    languages_.ForEachAssignment(rule, names, [&](const std::map<std::string, int64_t>& captures) {
      if (reported) return;
      std::string name;
      for (const TypedPart& part : pattern.parts) {
        const std::string& capture = part.kind == TypedPart::Kind::kCapture ? part.capture.name : part.text;
        const auto known = captures.find(capture);
        if (part.kind == TypedPart::Kind::kLiteral) {
          name += part.text;
        } else if (part.kind == TypedPart::Kind::kExpr) {
          const auto value = languages_.Value(part.expr, captures);
          if (!value) return;
          name += std::to_string(*value);
        } else if (known != captures.end()) {
          name += std::to_string(known->second);
        } else {
          name += part.kind == TypedPart::Kind::kAlternatives ? part.options[0] : "x";
        }
      }
      const auto [first, fresh] = seen.try_emplace(name, captures);
      if (fresh) return;
      reported = true;
      sink_.Report(DiagnosticKind::kNotOneToOne, pattern.span, fmt::format("two values of the captures give the {} name `{}`", side, name))
          .Note(fmt::format("{} and {}", Assigned(first->second), Assigned(captures)))
          .Help("change the numbers or the ranges so that no two values meet")
          .Emit();
    });
  }

  // Names that can be cut into captures in two ways come from two sources.
  void CheckReadings(const TypedRule& rule, const TypedPattern& source, const TypedPattern& target) {
    size_t captures = 0;
    for (const TypedPart& part : target.parts) {
      if (part.kind == TypedPart::Kind::kExpr || part.kind == TypedPart::Kind::kAlternatives) return;
      if (part.kind == TypedPart::Kind::kReference) ++captures;
    }
    if (captures < 2) return;
    const Language language = languages_.Of(&rule, nullptr, target, Side::kTarget);
    if (!language.exact || target.parts.size() > 100 || !Spend()) return;
    const Found found = FindTwoReadings(language.automaton, kMaxStates);
    if (found.answer != Answer::kYes) return;
    const std::string first = SourceOf(source, target, found.word, found.left), second = SourceOf(source, target, found.word, found.right);
    if (first == second || first.empty()) return;
    auto report = sink_.Report(rule.reversible ? DiagnosticKind::kNotOneToOne : DiagnosticKind::kMayCollide, target.span, fmt::format("`{}` and `{}` both become `{}`", first, second, found.word));
    std::move(report).Help("keep something between the captures that they cannot hold themselves").Emit();
  }

  static std::string SourceOf(const TypedPattern& source, const TypedPattern& target, const std::string& word, const std::string& tags) {
    std::map<std::string, std::string> values;
    for (size_t i = 0; i < word.size(); ++i) {
      const auto tag = static_cast<size_t>(static_cast<unsigned char>(tags[i]));
      const TypedPart& part = target.parts[tag - 1];
      if (part.kind == TypedPart::Kind::kReference) values[part.text] += word[i];
    }
    std::string name;
    for (const TypedPart& part : source.parts) {
      switch (part.kind) {
        case TypedPart::Kind::kLiteral: name += part.text; break;
        case TypedPart::Kind::kCapture: name += values.contains(part.capture.name) ? values[part.capture.name] : "x"; break;
        case TypedPart::Kind::kReference: name += values[part.text]; break;
        case TypedPart::Kind::kAlternatives:
        case TypedPart::Kind::kExpr: return "";
      }
    }
    return name;
  }

  const RuleSet& rules_;
  const VariableTable& variables_;
  DiagnosticSink& sink_;
  Languages languages_;
  std::vector<Language> sources_, targets_;
  std::set<std::pair<const TypedRule*, const TypedRule*>> reported_;
  size_t searches_ = 0;
  bool gave_up_ = false;
};

}  // namespace

void CheckOverlaps(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink) {
  OverlapChecker(rules, variables, sink).Check();
}

}  // namespace ckmap
