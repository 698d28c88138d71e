#include "compiler/sema/overlap/languages.h"

#include <algorithm>
#include <set>

#include "compiler/sema/expr.h"

namespace ckmap {

std::optional<std::pair<int64_t, int64_t>> Languages::RangeOf(const TypedRule& rule, const std::string& capture) const {
  for (const TypedRange& range : rule.ranges) {
    if (range.capture != capture) continue;
    const auto begin = EvaluateInt(range.begin, variables_), end = EvaluateInt(range.end, variables_);
    if (begin && end && *begin >= 0) return std::pair(*begin, *end);
  }
  return std::nullopt;
}

std::optional<int64_t> Languages::Value(const TypedExpr& expr, const std::map<std::string, int64_t>& captures) const {
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

void Languages::CapturesOf(const TypedExpr& expr, std::vector<std::string>& names) {
  if (expr.kind == TypedExpr::Kind::kCapture && std::find(names.begin(), names.end(), expr.text) == names.end()) names.push_back(expr.text);
  for (const TypedExpr& arg : expr.args) CapturesOf(arg, names);
}

// Captures take their text from the source, and so are cut by its separator.
Automaton Languages::OfCapture(const TypedRule* rule, const TypedCapture& capture, bool& exact) const {
  const std::string& separator = rules_.source_separator;
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
  if (!regex || capture.loose) exact = false;
  return regex ? *std::move(regex) : Automaton::Path(separator);
}

Automaton Languages::OfPart(const TypedRule* rule, const TypedPart& part, std::map<std::string, int>& uses, bool& exact) const {
  switch (part.kind) {
    case TypedPart::Kind::kLiteral: return Automaton::Literal(part.text);
    case TypedPart::Kind::kAlternatives: return Automaton::AnyOf(part.options);
    case TypedPart::Kind::kCapture:
      ++uses[part.capture.name];
      return OfCapture(rule, part.capture, exact);
    case TypedPart::Kind::kReference: {
      ++uses[part.text];
      if (rule == nullptr) break;
      for (const TypedCapture& capture : rule->captures) {
        if (capture.name == part.text) return OfCapture(rule, capture, exact);
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

Language Languages::Of(const TypedRule* rule, const TypedPattern& pattern) const {
  Language language;
  language.rule = rule;
  language.pattern = &pattern;
  language.literal = LiteralName(pattern);
  if (language.literal) {
    language.prefix = language.suffix = *language.literal;
    return language;
  }
  const auto literal = [](const TypedPart& part) { return part.kind == TypedPart::Kind::kLiteral; };
  for (auto part = pattern.parts.begin(); part != pattern.parts.end() && literal(*part); ++part) language.prefix += part->text;
  for (auto part = pattern.parts.rbegin(); part != pattern.parts.rend() && literal(*part); ++part) language.suffix = part->text + language.suffix;
  return language;
}

const Automaton& Languages::AutomatonOf(const Language& language) const {
  if (language.automaton) return *language.automaton;
  const TypedPattern& pattern = *language.pattern;
  language.automaton.emplace();
  if (!pattern.regex.empty()) {
    std::optional<Automaton> regex = AutomatonOfRegex(pattern.regex);
    language.exact = regex.has_value();
    if (regex) language.automaton = *std::move(regex);
    return *language.automaton;
  }
  std::map<std::string, int> uses;
  uint16_t tag = 0;
  for (const TypedPart& part : pattern.parts) {
    language.automaton->Append(OfPart(language.rule, part, uses, language.exact).Tagged(++tag));
  }
  for (const auto& [name, count] : uses) language.exact = language.exact && count == 1;
  return *language.automaton;
}

LanguageIndex::LanguageIndex(const std::vector<Language>& languages) {
  for (size_t i = 0; i < languages.size(); ++i) {
    const std::string& suffix = languages[i].suffix;
    groups_[languages[i].prefix].emplace(std::string(suffix.rbegin(), suffix.rend()), i);
  }
}

}  // namespace ckmap
