#include "compiler/sema/overlap/names_of_pattern.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <re2/re2.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr size_t kMaxSteps = 20'000;   // of one name
constexpr size_t kMaxReadings = 64;    // of one name
constexpr size_t kMaxSamples = 2'000;  // of one pattern
constexpr int64_t kSmallNumbers = 8;   // that stand for a number without a range
constexpr int64_t kSolved = 300;       // numbers tried for a capture that stands in computed numbers alone

bool AllDigits(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit); }

std::optional<int64_t> NumberOf(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return AllDigits(text) && error == std::errc() ? std::optional(number) : std::nullopt;
}

bool FullMatch(std::string_view text, const std::string& regex) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(int64_t{1} << 20);
  const RE2 compiled(regex, options);
  return compiled.ok() && RE2::FullMatch(re2::StringPiece(text.data(), text.size()), compiled);
}

const TypedCapture* FindCapture(const TypedRule* rule, const std::string& name) {
  if (rule == nullptr) return nullptr;
  const auto found = std::find_if(rule->captures.begin(), rule->captures.end(),
                                  [&](const TypedCapture& capture) { return capture.name == name; });
  return found == rule->captures.end() ? nullptr : &*found;
}

const TypedCapture* CaptureOf(const Language& language, const TypedPart& part) {
  if (part.kind == TypedPart::Kind::kCapture) return &part.capture;
  if (const TypedCapture* capture = FindCapture(language.rule, part.text)) return capture;
  for (const TypedPart& other : language.pattern->parts) {
    if (other.kind == TypedPart::Kind::kCapture && other.capture.name == part.text) return &other.capture;
  }
  return nullptr;
}

// A name against the parts of a pattern, from left to right, with every length of each capture.
class Reader {
 public:
  Reader(const Languages& languages, const Language& language, std::string_view name)
      : languages_(languages), language_(language), name_(name) {}

  std::vector<CaptureTexts> Run() {
    if (language_.pattern->regex.empty()) {
      Read(0, 0);
    } else if (FullMatch(name_, language_.pattern->regex)) {
      readings_.emplace_back();
    }
    return std::move(readings_);
  }

 private:
  void Read(size_t part, size_t at) {
    if (++steps_ > kMaxSteps || readings_.size() >= kMaxReadings) return;
    const std::vector<TypedPart>& parts = language_.pattern->parts;
    if (part == parts.size()) {
      if (at == name_.size()) Settle(0);
      return;
    }
    const TypedPart& now = parts[part];
    const std::string_view rest = name_.substr(at);
    if (now.kind == TypedPart::Kind::kLiteral) {
      if (rest.starts_with(now.text)) Read(part + 1, at + now.text.size());
    } else if (now.kind == TypedPart::Kind::kAlternatives) {
      for (const std::string& option : now.options) {
        if (rest.starts_with(option)) Read(part + 1, at + option.size());
      }
    } else if (now.kind == TypedPart::Kind::kExpr) {
      for (size_t size = 1; size <= rest.size(); ++size) ReadExpr(part, at, rest.substr(0, size));
    } else {
      ReadCapture(part, at, rest);
    }
  }

  void ReadExpr(size_t part, size_t at, std::string_view text) {
    const TypedExpr& expr = language_.pattern->parts[part].expr;
    if (expr.type == ValueType::kInt && (!AllDigits(text) || (text.size() > 1 && text[0] == '0'))) return;
    std::vector<std::string> captures;
    Languages::CapturesOf(expr, captures);
    wanted_.push_back({&expr, std::string(text), std::move(captures)});
    Read(part + 1, at + text.size());
    wanted_.pop_back();
  }

  void ReadCapture(size_t part, size_t at, std::string_view rest) {
    const TypedPart& now = language_.pattern->parts[part];
    const TypedCapture* capture = CaptureOf(language_, now);
    if (capture == nullptr) return;
    if (const auto known = texts_.find(capture->name); known != texts_.end()) {
      if (rest.starts_with(known->second)) Read(part + 1, at + known->second.size());
      return;
    }
    for (size_t size = 0; size <= rest.size(); ++size) {
      if (++steps_ > kMaxSteps) return;
      const std::string_view text = rest.substr(0, size);
      if (!languages_.Holds(*capture, text)) continue;
      texts_[capture->name] = std::string(text);
      Read(part + 1, at + size);
      texts_.erase(capture->name);
    }
  }

  // Computed numbers, once the captures of the name are known; those that no name holds are tried out.
  void Settle(size_t from) {
    if (readings_.size() >= kMaxReadings) return;
    for (size_t i = from; i < wanted_.size(); ++i) {
      const TypedExpr& expr = *wanted_[i].expr;
      const std::vector<std::string>& names = wanted_[i].captures;
      const auto open =
          std::find_if(names.begin(), names.end(), [&](const std::string& name) { return !texts_.contains(name); });
      if (open != names.end()) return TryNumbers(i, *open);
      const CaptureValues values = ValuesOf(language_.rule, texts_);
      const std::optional<Constant> value = EvaluateConstant(expr, languages_.variables(), &values);
      if (!value) return;
      const int64_t* number = std::get_if<int64_t>(&*value);
      const std::string* text = std::get_if<std::string>(&*value);
      if (number != nullptr ? std::to_string(*number) != wanted_[i].text : text == nullptr || *text != wanted_[i].text)
        return;
    }
    readings_.push_back(texts_);
  }

  void TryNumbers(size_t from, const std::string& name) {
    std::pair<int64_t, int64_t> range = {0, kSolved};
    if (language_.rule != nullptr) range = languages_.RangeOf(*language_.rule, name).value_or(range);
    for (int64_t number = range.first; number < range.second && ++steps_ <= kMaxSteps; ++number) {
      texts_[name] = std::to_string(number);
      Settle(from);
    }
    texts_.erase(name);
  }

  struct Wanted {
    const TypedExpr* expr;
    std::string text;
    std::vector<std::string> captures;  // of `expr`
  };
  const Languages& languages_;
  const Language& language_;
  std::string_view name_;
  CaptureTexts texts_;
  std::vector<Wanted> wanted_;
  std::vector<CaptureTexts> readings_;
  size_t steps_ = 0;
};

// Texts that a capture is tried with.
std::vector<std::string> TextsFor(const Languages& languages, const Language& language, const std::string& name,
                                  const std::vector<std::string>& seeds) {
  const TypedCapture* capture = FindCapture(language.rule, name);
  for (const TypedPart& part : language.pattern->parts) {
    if (capture == nullptr && part.kind == TypedPart::Kind::kCapture && part.capture.name == name)
      capture = &part.capture;
  }
  if (capture == nullptr) return {};
  std::vector<std::string> texts;
  if (capture->kind == TypedCapture::Kind::kInt) {
    std::pair<int64_t, int64_t> range = {0, kSmallNumbers};
    if (language.rule != nullptr) range = languages.RangeOf(*language.rule, name).value_or(range);
    for (int64_t i = range.first; i < std::min(range.second, range.first + 2 * kSmallNumbers); ++i)
      texts.push_back(std::to_string(i));
  } else if (capture->kind == TypedCapture::Kind::kChoice) {
    texts = capture->choices;
  } else if (capture->kind != TypedCapture::Kind::kRegex) {
    texts = {"x", "y"};
    if (capture->kind == TypedCapture::Kind::kPath) texts.push_back("x" + languages.separator() + "y");
  }
  for (const std::string& seed : seeds) {
    if (texts.size() < 40 && languages.Holds(*capture, seed) &&
        std::find(texts.begin(), texts.end(), seed) == texts.end())
      texts.push_back(seed);
  }
  return texts;
}

}  // namespace

std::vector<CaptureTexts> Readings(const Languages& languages, const Language& language, std::string_view name) {
  return Reader(languages, language, name).Run();
}

std::vector<std::string> SampleNames(const Languages& languages, const Language& language,
                                     const std::vector<std::string>& seeds) {
  const TypedPattern& pattern = *language.pattern;
  if (!pattern.regex.empty()) return {};
  std::vector<std::string> names;  // of captures
  for (const TypedPart& part : pattern.parts) {
    if (part.kind == TypedPart::Kind::kExpr) Languages::CapturesOf(part.expr, names);
    const std::string& name = part.kind == TypedPart::Kind::kCapture ? part.capture.name : part.text;
    const bool open = part.kind == TypedPart::Kind::kCapture || part.kind == TypedPart::Kind::kReference;
    if (open && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  std::vector<CaptureTexts> all(1);
  for (const std::string& name : names) {
    std::vector<CaptureTexts> longer;
    for (const std::string& text : TextsFor(languages, language, name, seeds)) {
      for (const CaptureTexts& texts : all) {
        if (longer.size() >= kMaxSamples) break;
        longer.push_back(texts);
        longer.back()[name] = text;
      }
    }
    all = std::move(longer);
  }
  std::set<std::string> samples;
  for (const CaptureTexts& texts : all) {
    const CaptureValues values = ValuesOf(language.rule, texts);
    std::vector<std::string> made(1);
    for (const TypedPart& part : pattern.parts) {
      std::vector<std::string> pieces = {part.text};
      if (part.kind == TypedPart::Kind::kAlternatives) pieces = part.options;
      if (part.kind == TypedPart::Kind::kCapture) pieces = {texts.at(part.capture.name)};
      if (part.kind == TypedPart::Kind::kReference) pieces = {texts.at(part.text)};
      if (part.kind == TypedPart::Kind::kExpr) {
        const std::optional<Constant> value = EvaluateConstant(part.expr, languages.variables(), &values);
        const int64_t* number = value ? std::get_if<int64_t>(&*value) : nullptr;
        const std::string* text = value ? std::get_if<std::string>(&*value) : nullptr;
        pieces.clear();
        if (number != nullptr && *number >= 0) pieces = {std::to_string(*number)};
        if (text != nullptr) pieces = {*text};
      }
      std::vector<std::string> longer;
      for (const std::string& begin : made) {
        for (size_t i = 0; i < pieces.size() && longer.size() < kMaxSamples; ++i) longer.push_back(begin + pieces[i]);
      }
      made = std::move(longer);
    }
    samples.insert(made.begin(), made.end());
    if (samples.size() >= kMaxSamples) break;
  }
  return {samples.begin(), samples.end()};
}

CaptureValues ValuesOf(const TypedRule* rule, const CaptureTexts& texts) {
  CaptureValues values;
  for (const auto& [name, text] : texts) {
    const TypedCapture* capture = FindCapture(rule, name);
    const bool integer = capture == nullptr || capture->kind == TypedCapture::Kind::kInt;
    const std::optional<int64_t> number = integer ? NumberOf(text) : std::nullopt;
    if (number) {
      values.emplace(name, *number);
    } else {
      values.emplace(name, text);
    }
  }
  return values;
}

std::optional<bool> Applies(const TypedRule& rule, const CaptureTexts& texts, const VariableTable& variables) {
  const CaptureValues values = ValuesOf(&rule, texts);
  bool known = true;
  for (const TypedRange& range : rule.ranges) {
    const auto value = values.find(range.capture);
    const int64_t* number = value == values.end() ? nullptr : std::get_if<int64_t>(&value->second);
    const auto begin = EvaluateInt(range.begin, variables), end = EvaluateInt(range.end, variables);
    if (number == nullptr || !begin || !end) known = false;
    if (number != nullptr && ((begin && *number < *begin) || (end && *number >= *end))) return false;
  }
  if (!rule.when) return known ? std::optional(true) : std::nullopt;
  const std::optional<Constant> holds = EvaluateConstant(*rule.when, variables, &values);
  const bool* value = holds ? std::get_if<bool>(&*holds) : nullptr;
  if (value != nullptr && !*value) return false;
  return value != nullptr && known ? std::optional(true) : std::nullopt;
}

}  // namespace ckmap
