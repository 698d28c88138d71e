#include "compiler/sema/overlap/languages.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <re2/re2.h>

#include "compiler/sema/shapes/size.h"
#include "runtime/base/text.h"

namespace ckmap {

std::optional<std::pair<int64_t, int64_t>> Languages::RangeOf(const TypedRule& rule, const std::string& capture) const {
  for (const TypedRange& range : rule.ranges) {
    if (range.capture != capture) continue;
    const auto begin = EvaluateInt(range.begin, variables_), end = EvaluateInt(range.end, variables_);
    if (begin && end && *begin >= 0) return std::pair(*begin, *end);
  }
  return std::nullopt;
}

bool Languages::Holds(const TypedCapture& capture, std::string_view text) const {
  const std::string_view separator = rules_.source_separator;
  switch (capture.kind) {
    case TypedCapture::Kind::kSegment:
      return !text.empty() && text.find(separator) == std::string_view::npos;
    case TypedCapture::Kind::kInt:
      return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
    case TypedCapture::Kind::kChoice:
      return std::find(capture.choices.begin(), capture.choices.end(), text) != capture.choices.end();
    case TypedCapture::Kind::kPath: {
      // Segments with separators between, none of them empty.
      for (size_t at = text.find(separator);; at = text.find(separator)) {
        if (text.substr(0, at).empty()) return false;
        if (at == std::string_view::npos) return true;
        text.remove_prefix(at + separator.size());
      }
    }
    case TypedCapture::Kind::kRegex:
      break;
  }
  if (capture.loose) return false;
  std::shared_ptr<const RE2>& regex = regexes_[capture.regex];
  if (!regex) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(int64_t{1} << 20);
    regex = std::make_shared<const RE2>(capture.regex, options);
  }
  return regex->ok() && RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *regex);
}

void Languages::CapturesOf(const TypedExpr& expr, std::vector<std::string>& names) {
  if (expr.kind == TypedExpr::Kind::kCapture && std::find(names.begin(), names.end(), expr.text) == names.end())
    names.push_back(expr.text);
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
    case TypedCapture::Kind::kSegment:
      return Automaton::Segment(separator);
    case TypedCapture::Kind::kInt:
      return Automaton::Digits();
    case TypedCapture::Kind::kPath:
      return Automaton::Path(separator);
    case TypedCapture::Kind::kChoice:
      return Automaton::AnyOf(capture.choices);
    case TypedCapture::Kind::kRegex:
      break;
  }
  std::optional<Automaton> regex = AutomatonOfRegex(capture.regex);
  if (!regex || capture.loose) exact = false;
  return regex ? *std::move(regex) : Automaton::Anything();
}

Automaton Languages::OfPart(const TypedRule* rule, const TypedPart& part, const Texts& texts,
                            std::map<std::string, int>& uses, bool& exact) const {
  switch (part.kind) {
    case TypedPart::Kind::kLiteral:
      return Automaton::Literal(part.text);
    case TypedPart::Kind::kAlternatives:
      return Automaton::AnyOf(part.options);
    case TypedPart::Kind::kExpr:
      return OfExpr(rule, part.expr, texts, uses, exact);
    case TypedPart::Kind::kCapture:
    case TypedPart::Kind::kReference:
      break;
  }
  const std::string& name = part.kind == TypedPart::Kind::kCapture ? part.capture.name : part.text;
  if (const auto text = texts.find(name); text != texts.end()) return Automaton::Literal(text->second);
  ++uses[name];
  if (part.kind == TypedPart::Kind::kCapture) return OfCapture(rule, part.capture, exact);
  if (rule != nullptr) {
    for (const TypedCapture& capture : rule->captures) {
      if (capture.name == part.text) return OfCapture(rule, capture, exact);
    }
  }
  exact = false;
  return Automaton::Anything();
}

// A number computed from captures, or the text of a parameter.
Automaton Languages::OfExpr(const TypedRule* rule, const TypedExpr& expr, const Texts& texts,
                            std::map<std::string, int>& uses, bool& exact) const {
  if (expr.type != ValueType::kInt) {
    const std::optional<Constant> value = EvaluateConstant(expr, variables_);
    const std::string* text = value ? std::get_if<std::string>(&*value) : nullptr;
    exact = exact && text != nullptr;
    return text != nullptr ? Automaton::Literal(*text) : Automaton::Anything();
  }
  std::vector<std::string> names;
  CapturesOf(expr, names);
  CaptureValues fixed;
  for (const std::string& name : names) {
    const auto text = texts.find(name);
    int64_t number = 0;
    if (text == texts.end()) {
      ++uses[name];
    } else if (std::from_chars(text->second.data(), text->second.data() + text->second.size(), number).ec ==
               std::errc()) {
      fixed.emplace(name, number);
    }
  }
  if (fixed.size() == names.size()) {
    const std::optional<int64_t> value = EvaluateInt(expr, variables_, &fixed);
    if (value) return *value < 0 ? Automaton::Nothing() : Automaton::Literal(std::to_string(*value));
  }
  if (rule != nullptr && fixed.empty()) {
    std::set<std::string> values;
    const bool known = ForEachAssignment(*rule, names, [&](const CaptureValues& captures) {
      const auto value = EvaluateInt(expr, variables_, &captures);
      if (value && *value >= 0) values.insert(std::to_string(*value));
    });
    if (known && !names.empty()) return Automaton::AnyOf({values.begin(), values.end()});
    std::optional<Automaton> linear = names.size() == 1 ? OfLinear(*rule, expr, names[0]) : std::nullopt;
    if (linear) return *std::move(linear);
  }
  exact = false;
  return Automaton::Digits();
}

// `a * capture + b`, where the capture is any number.
std::optional<Automaton> Languages::OfLinear(const TypedRule& rule, const TypedExpr& expr,
                                             const std::string& capture) const {
  for (const TypedRange& range : rule.ranges) {
    if (range.capture == capture) return std::nullopt;  // it is not known, else it had been tried out
  }
  const std::optional<Polynomial> sum = SizeOf(expr, variables_);
  const auto normal = sum ? sum->Normalized() : std::nullopt;
  if (!normal || normal->base != Polynomial::Symbol("{" + capture + "}", false)) return std::nullopt;
  const int64_t step = normal->factor, at_zero = normal->constant;
  if (step > 0) return Automaton::Numbers(at_zero >= 0 ? at_zero : (at_zero % step + step) % step, step);
  std::vector<std::string> values;
  for (int64_t value = at_zero; value >= 0; value += step) {
    if (values.size() > 2000) return std::nullopt;
    values.push_back(std::to_string(value));
  }
  return Automaton::AnyOf(values);
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
  for (auto part = pattern.parts.begin(); part != pattern.parts.end() && literal(*part); ++part)
    language.prefix += part->text;
  for (auto part = pattern.parts.rbegin(); part != pattern.parts.rend() && literal(*part); ++part)
    language.suffix = part->text + language.suffix;
  return language;
}

const Automaton& Languages::AutomatonOf(const Language& language) const {
  if (!language.automaton) language.automaton = AutomatonWith(language, {}, language.exact);
  return *language.automaton;
}

Automaton Languages::AutomatonWith(const Language& language, const Texts& texts, bool& exact) const {
  const TypedPattern& pattern = *language.pattern;
  exact = true;
  if (!pattern.regex.empty()) {
    std::optional<Automaton> regex = AutomatonOfRegex(pattern.regex);
    exact = regex.has_value();
    return regex ? *std::move(regex) : Automaton::Anything();
  }
  Automaton all;
  std::map<std::string, int> uses;
  uint16_t tag = 0;
  for (const TypedPart& part : pattern.parts) all.Append(OfPart(language.rule, part, texts, uses, exact).Tagged(++tag));
  for (const auto& [name, count] : uses) exact = exact && count == 1;
  return all;
}

LanguageIndex::LanguageIndex(const std::vector<Language>& languages) {
  for (size_t i = 0; i < languages.size(); ++i) {
    const std::string& suffix = languages[i].suffix;
    groups_[languages[i].prefix].emplace(std::string(suffix.rbegin(), suffix.rend()), i);
  }
}

}  // namespace ckmap
