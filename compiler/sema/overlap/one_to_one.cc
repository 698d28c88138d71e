#include "compiler/sema/overlap/one_to_one.h"

#include <fmt/format.h>

#include "compiler/sema/overlap/languages.h"

namespace ckmap {
namespace {

constexpr size_t kMaxStates = 50'000;     // of one search
constexpr size_t kMaxWork = 50'000'000;  // moves of all searches of one program

class OneToOneChecker {
 public:
  OneToOneChecker(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink)
      : sink_(sink), languages_(rules, variables) {}

  void Check(const TypedRule& rule) {
    if (!rule.valid) return;
    if (rule.target.terms.size() == 1) CheckArithmetic(rule, std::get<0>(rule.target.terms[0].kind), "target");
    const TypedPattern* source = rule.source.terms.size() == 1 ? std::get_if<0>(&rule.source.terms[0].kind) : nullptr;
    if (source != nullptr && rule.reversible) CheckArithmetic(rule, *source, "source");
    if (source == nullptr || rule.target.terms.size() != 1 || !source->regex.empty()) return;
    CheckReadings(rule, *source, std::get<0>(rule.target.terms[0].kind));
  }

 private:
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
    const auto look = [&](const std::map<std::string, int64_t>& captures) {
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
    };
    // Two values that meet are two whatever the range; that none meet is known only of ranges. A rule that is
    // written `<->` is refused for its capture anyway.
    constexpr int64_t kTried = 40;
    languages_.ForEachAssignment(rule, names, look, rule.reversible ? std::nullopt : std::optional(kTried));
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
    const Automaton& automaton = languages_.AutomatonOf(language);
    if (!language.exact || target.parts.size() > 100 || work_ > kMaxWork) return;
    const Found found = FindTwoReadings(automaton, kMaxStates);
    work_ += found.work;
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

  DiagnosticSink& sink_;
  Languages languages_;
  size_t work_ = 0;
};

}  // namespace

void CheckOneToOne(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink) {
  OneToOneChecker checker(rules, variables, sink);
  for (const TypedRule& rule : rules.rules) checker.Check(rule);
  for (const TypedLayer& layer : rules.layers) {
    for (const TypedRule& rule : layer.rules) checker.Check(rule);
  }
}

}  // namespace ckmap
