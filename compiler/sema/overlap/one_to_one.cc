#include "compiler/sema/overlap/one_to_one.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "compiler/sema/overlap/guards.h"
#include "compiler/sema/overlap/names_of_pattern.h"

namespace ckmap {
namespace {

constexpr size_t kMaxPatternParts = 100;     // of a pattern, whose parts are tags of one byte
constexpr size_t kMaxPairStates = 50'000;    // of one search
constexpr size_t kMaxPairWork = 50'000'000;  // moves of all searches of one program

class OneToOneChecker {
 public:
  OneToOneChecker(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink)
      : sink_(sink), languages_(rules, variables) {}

  void Check(const TypedRule& rule) {
    if (!rule.valid) return;
    if (rule.target.terms.size() == 1) CheckArithmetic(rule, std::get<0>(rule.target.terms[0].kind), "target");
    const TypedPattern* source = rule.source.terms.size() == 1 ? std::get_if<0>(&rule.source.terms[0].kind) : nullptr;
    if (source != nullptr && rule.reversible) CheckArithmetic(rule, *source, "source");
    if (source == nullptr || rule.target.terms.size() != 1) return;
    if (!source->regex.empty()) return CheckRegex(rule, *source, std::get<0>(rule.target.terms[0].kind));
    CheckReadings(rule, *source, std::get<0>(rule.target.terms[0].kind));
  }

 private:
  static std::string Assigned(const CaptureValues& captures) {
    std::string text;
    for (const auto& [name, value] : captures)
      text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", name, std::get<int64_t>(value));
    return text;
  }

  // Whether the rule's condition holds for these captures; nullopt: it is not known.
  std::optional<bool> Holds(const TypedRule& rule, const CaptureValues& captures) const {
    if (!rule.when) return true;
    const std::optional<Constant> value = EvaluateConstant(*rule.when, languages_.variables(), &captures);
    const bool* holds = value ? std::get_if<bool>(&*value) : nullptr;
    return holds != nullptr ? std::optional(*holds) : std::nullopt;
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
    std::map<std::string, CaptureValues> seen;
    bool reported = false;
    const auto look = [&](const CaptureValues& captures) {
      if (reported) return;
      const std::optional<bool> applies = Holds(rule, captures);
      if (applies == false) return;
      std::string name;
      for (const TypedPart& part : pattern.parts) {
        const std::string& capture = part.kind == TypedPart::Kind::kCapture ? part.capture.name : part.text;
        const auto known = captures.find(capture);
        if (part.kind == TypedPart::Kind::kLiteral) {
          name += part.text;
        } else if (part.kind == TypedPart::Kind::kExpr) {
          const auto value = EvaluateInt(part.expr, languages_.variables(), &captures);
          if (!value) return;
          name += std::to_string(*value);
        } else if (known != captures.end()) {
          name += std::to_string(std::get<int64_t>(known->second));
        } else {
          name += part.kind == TypedPart::Kind::kAlternatives ? part.options[0] : "x";
        }
      }
      const auto [first, fresh] = seen.try_emplace(name, captures);
      if (fresh) return;
      reported = true;
      const bool sure = applies.has_value() && Holds(rule, first->second).has_value();
      auto report = sink_
                        .Report(sure ? DiagnosticKind::kNotOneToOne : DiagnosticKind::kMayCollide, pattern.span,
                                fmt::format("two values of the captures {} the {} name `{}`",
                                            sure ? "give" : "may give", side, name))
                        .Note(fmt::format("{} and {}", Assigned(first->second), Assigned(captures)));
      if (!sure)
        static_cast<void>(std::move(report).Note(
            "whether the condition of the rule holds for both is known only when the plan is bound"));
      std::move(report)
          .Help(rule.when ? "change the numbers, the ranges or the condition so that no two values meet"
                          : "change the numbers or the ranges so that no two values meet")
          .Emit();
    };
    // Two values that meet are two whatever the range; that none meet is known only of ranges. A rule that is
    // written `<->` is refused for its capture anyway.
    constexpr int64_t kTried = 40;
    if (languages_.ForEachAssignment(rule, names, look, rule.reversible ? std::nullopt : std::optional(kTried)) ||
        reported)
      return;
    if (rule.reversible && std::any_of(names.begin(), names.end(),
                                       [&](const std::string& name) { return !languages_.RangeOf(rule, name); }))
      return;
    sink_
        .Report(DiagnosticKind::kNotDecided, pattern.span,
                fmt::format("whether two values of the captures give one {} name was not decided", side))
        .Note("there are too many values to try")
        .Help("bind checks it for the tensors that there are")
        .Emit();
  }

  // Names that can be cut into captures in two ways come from two sources.
  void CheckReadings(const TypedRule& rule, const TypedPattern& source, const TypedPattern& target) {
    size_t captures = 0;
    for (const TypedPart& part : target.parts) {
      if (part.kind == TypedPart::Kind::kExpr || part.kind == TypedPart::Kind::kAlternatives) return;
      if (part.kind == TypedPart::Kind::kReference) ++captures;
    }
    if (captures < 2) return;
    const Language language = languages_.Of(&rule, target);
    Guards guards(languages_.variables());
    if (rule.when) guards.Require(*rule.when);
    // What the condition says that a capture is, each reading has.
    const CaptureTexts fixed = guards.cases() == 1 ? guards.FixedTexts() : CaptureTexts();
    bool exact = true;
    const Automaton automaton = languages_.AutomatonWith(language, fixed, exact);
    const Found found = target.parts.size() > kMaxPatternParts || work_ > kMaxPairWork
                            ? Found{Answer::kGaveUp, "", "", "", 0}
                            : FindTwoReadings(automaton, kMaxPairStates);
    work_ += found.work;
    if (found.answer == Answer::kNo) return;
    // What the automaton reads, and what the name is read as where captures stand twice.
    std::vector<CaptureTexts> readings = {TextsOf(target, found.word, found.left),
                                          TextsOf(target, found.word, found.right)};
    for (CaptureTexts& texts : readings) texts.insert(fixed.begin(), fixed.end());
    if (found.answer == Answer::kGaveUp || !exact) readings = Readings(languages_, language, found.word);
    bool sure = true;
    std::vector<std::string> names;
    std::set<std::string> all;
    for (const CaptureTexts& texts : readings) {
      const std::optional<bool> applies = Applies(rule, texts, languages_.variables());
      const std::string name = SourceOf(source, texts);
      if (name.empty() || !all.insert(name).second || applies == false) continue;
      sure = sure && applies.has_value();
      names.push_back(name);
    }
    if (names.size() >= 2) {
      sink_
          .Report(rule.reversible && sure ? DiagnosticKind::kNotOneToOne : DiagnosticKind::kMayCollide, target.span,
                  fmt::format("`{}` and `{}` both become `{}`", names[0], names[1], found.word))
          .Help("keep something between the captures that they cannot hold themselves")
          .Emit();
    } else if (found.answer == Answer::kGaveUp || all.size() >= 2) {
      sink_
          .Report(DiagnosticKind::kNotDecided, target.span,
                  "whether two names become one name of this pattern was not decided")
          .Note(
              found.answer == Answer::kGaveUp
                  ? "the search took too long"
                  : fmt::format("`{}` can be read in two ways, but the condition of the rule excludes one", found.word))
          .Help("bind checks it for the tensors that there are")
          .Emit();
    }
  }

  // A whole-name regular expression that matches several names with the same captures: they all become one target.
  void CheckRegex(const TypedRule& rule, const TypedPattern& source, const TypedPattern& target) {
    if (rule.reversible || work_ > kMaxPairWork) return;
    std::string fixed = source.regex;
    std::set<std::string> used;
    for (const TypedPart& part : target.parts) {
      std::vector<std::string> names;
      if (part.kind == TypedPart::Kind::kReference) names.push_back(part.text);
      if (part.kind == TypedPart::Kind::kExpr) Languages::CapturesOf(part.expr, names);
      for (const std::string& name : names) fixed = WithoutChoice(fixed, name);
      used.insert(names.begin(), names.end());
    }
    const std::optional<Automaton> automaton = AutomatonOfRegex(fixed);
    if (!automaton || automaton->size() > kMaxPairStates) return;
    const Found first = FindCommonWord(*automaton, *automaton, kMaxPairStates);
    if (first.answer != Answer::kYes) return;
    const Found second = FindWordOutside(*automaton, Automaton::Literal(first.word), kMaxPairStates);
    work_ += first.work + second.work;
    if (second.answer != Answer::kYes) return;
    // Names that take different alternatives have different captures.
    for (const std::string& name : used) {
      const std::string text = fmt::format("{{{}}}", name);
      if (first.word.find(text) == std::string::npos || second.word.find(text) == std::string::npos) return;
    }
    sink_
        .Report(DiagnosticKind::kMayCollide, source.span,
                fmt::format("`{}` and `{}` both become `{}`", first.word, second.word, target.text))
        .Help("name what differs, `(?P<part>…)`, and use it on the right; or write the one name that is meant")
        .Emit();
  }

  // The regular expression with `{name}`, as text, in place of its group of that name.
  static std::string WithoutChoice(const std::string& regex, const std::string& name) {
    const size_t begin = regex.find(fmt::format("(?P<{}>", name));
    if (begin == std::string::npos) return regex;
    int depth = 0;
    bool in_class = false;
    for (size_t at = begin; at < regex.size(); ++at) {
      const char c = regex[at];
      if (c == '\\') {
        ++at;
      } else if (in_class) {
        in_class = c != ']' || regex[at - 1] == '[' || (regex[at - 1] == '^' && regex[at - 2] == '[');
      } else if (c == '[') {
        in_class = true;
      } else if (c == '(') {
        ++depth;
      } else if (c == ')' && --depth == 0) {
        return regex.substr(0, begin) + "\\{" + name + "\\}" + regex.substr(at + 1);
      }
    }
    return regex;
  }

  static CaptureTexts TextsOf(const TypedPattern& target, const std::string& word, const std::string& tags) {
    CaptureTexts texts;
    for (size_t i = 0; i < tags.size(); ++i) {
      const auto tag = static_cast<size_t>(static_cast<unsigned char>(tags[i]));
      const TypedPart& part = target.parts[tag - 1];
      if (part.kind == TypedPart::Kind::kReference) texts[part.text] += word[i];
    }
    return texts;
  }

  // "": the captures do not tell.
  static std::string SourceOf(const TypedPattern& source, const CaptureTexts& texts) {
    std::string name;
    for (const TypedPart& part : source.parts) {
      const std::string& capture = part.kind == TypedPart::Kind::kCapture ? part.capture.name : part.text;
      const auto known = texts.find(capture);
      switch (part.kind) {
        case TypedPart::Kind::kLiteral:
          name += part.text;
          break;
        case TypedPart::Kind::kCapture:
          name += known != texts.end() ? known->second : "x";
          break;
        case TypedPart::Kind::kReference:
          name += known != texts.end() ? known->second : "";
          break;
        case TypedPart::Kind::kAlternatives:
        case TypedPart::Kind::kExpr:
          return "";
      }
    }
    return name;
  }

  DiagnosticSink& sink_;
  Languages languages_;
  size_t work_ = 0;
};

}  // namespace

void CheckOneToOne(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink) {
  OneToOneChecker checker(rules, variables, sink);
  for (const TypedRule& rule : rules.derived) checker.Check(rule);
  for (const TypedRule& rule : rules.rules) checker.Check(rule);
  for (const TypedLayer& layer : rules.layers) {
    for (const TypedRule& rule : layer.rules) checker.Check(rule);
  }
}

}  // namespace ckmap
