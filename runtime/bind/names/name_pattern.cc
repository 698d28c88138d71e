#include "runtime/bind/names/name_pattern.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>
#include <re2/re2.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

// The regular expression of one capture, without its group.
std::string CaptureRegex(const plan::Capture& capture, std::string_view separator, bool before_colon) {
  const std::string quoted = RE2::QuoteMeta(re2::StringPiece(separator.data(), separator.size()));
  const std::string segment = fmt::format("[^{}{}]+", quoted, before_colon ? ":" : "");
  switch (capture.kind()) {
    case plan::Capture::INT:
      return "[0-9]+";
    case plan::Capture::PATH:
      return fmt::format("{}(?:{}{})*", segment, quoted, segment);
    case plan::Capture::CHOICE: {
      std::string regex;
      for (const std::string& choice : capture.choices()) {
        regex += (regex.empty() ? "" : "|") + RE2::QuoteMeta(choice);
      }
      return regex;
    }
    case plan::Capture::REGEX:
      return capture.regex();
    default:
      return segment;
  }
}

// What a capture, or a reference to one, means.
const plan::Capture& DeclaredCapture(const plan::Part& part, const std::string& name,
                                     const CompiledName::Context& context) {
  static const plan::Capture kSegment;
  if (part.has_capture()) return part.capture();
  const auto declared = context.declared.find(name);
  return declared != context.declared.end() ? *declared->second : kSegment;
}

// Whether the pattern says a name space: a colon stands in front of its first separator.
bool SaysSpace(const plan::Pattern& pattern, std::string_view separator) {
  if (!pattern.regex().empty()) {
    const std::string& regex = pattern.regex();
    const size_t end = regex.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return end != std::string::npos && end > 0 && regex[end] == ':';
  }
  for (const plan::Part& part : pattern.parts()) {
    const std::string_view text = part.literal();
    const size_t colon = text.find(':'), cut = text.find(separator);
    if (colon != std::string_view::npos) return colon < cut;
    if (cut != std::string_view::npos) return false;
  }
  return false;
}

RE2::Options QuietOptions() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  return options;
}

}  // namespace

Value CaptureScope::Capture(const std::string& name) const {
  const auto found = captures_.find(name);
  if (found == captures_.end()) return base_.Capture(name);
  const std::string& text = found->second;
  int64_t integer = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
  // What looks like a number counts as one: the compiler has checked which captures are computed with.
  if (error == std::errc() && at == text.data() + text.size()) return Value(integer);
  return Value(text);
}

std::vector<ListLevel> ListLevels(const plan::Pattern& pattern) {
  std::vector<ListLevel> levels;
  for (const plan::Part& part : pattern.parts()) {
    if (part.has_alternatives()) {
      levels.push_back({{part.alternatives().options().begin(), part.alternatives().options().end()}, ""});
    } else if (part.has_capture() && part.capture().gather()) {
      levels.push_back({{}, part.capture().name()});
    }
  }
  return levels;
}

plan::Pattern Choose(const plan::Pattern& pattern, const std::vector<size_t>& choices) {
  plan::Pattern chosen = pattern;
  size_t next = 0;
  for (plan::Part& part : *chosen.mutable_parts()) {
    if (!part.has_alternatives()) continue;
    const std::string option = part.alternatives().options(static_cast<int>(choices[next++]));
    part.set_literal(option);
  }
  return chosen;
}

std::vector<std::vector<size_t>> AllChoices(const plan::Pattern& pattern) {
  std::vector<std::vector<size_t>> all = {{}};
  for (const plan::Part& part : pattern.parts()) {
    if (!part.has_alternatives()) continue;
    std::vector<std::vector<size_t>> next;
    for (const auto& prefix : all) {
      for (int i = 0; i < part.alternatives().options_size(); ++i) {
        next.push_back(prefix);
        next.back().push_back(static_cast<size_t>(i));
      }
    }
    all = std::move(next);
  }
  return all;
}

Result<CompiledName> CompiledName::Compile(const plan::Pattern& pattern, const Context& context) {
  CompiledName result;
  result.pattern_ = std::make_shared<plan::Pattern>(pattern);
  const bool spaces = context.spaces != nullptr && !context.spaces->empty();
  const bool says_space = spaces && SaysSpace(pattern, context.separator);
  if (spaces && !says_space) result.barred_ = *context.spaces;
  bool before_colon = says_space;
  if (!pattern.regex().empty()) {
    result.regex_ = pattern.regex();
    CKMAP_RETURN_IF_ERROR(result.CompileRegex());
    for (const auto& [name, group] : result.compiled_->NamedCapturingGroups()) {
      result.groups_.push_back(name);
      result.group_index_.push_back(static_cast<size_t>(group));
    }
    return result;
  }
  std::string text(context.prefix);  // the literal since the last group
  std::vector<std::string> literals;
  bool only_digits = true;
  result.regex_ = RE2::QuoteMeta(text);
  bool literal = true;
  size_t groups = 0;
  const CaptureScope known_scope(context.scope, context.known);
  for (const plan::Part& part : result.pattern_->parts()) {
    std::string fixed = part.literal();
    bool is_fixed = part.has_literal();
    const std::string name = part.has_capture() ? part.capture().name() : part.reference();
    if (part.has_expr()) {
      if (const auto value = EvaluateInt(part.expr(), known_scope)) {
        fixed = fmt::format("{}", *value);
        is_fixed = true;
      }
    } else if (const auto found = context.known.find(name); !is_fixed && found != context.known.end()) {
      fixed = found->second;
      is_fixed = true;
    }
    if (is_fixed) {
      before_colon = before_colon && fixed.find(':') == std::string::npos;
      text += fixed;
      result.regex_ += RE2::QuoteMeta(fixed);
      continue;
    }
    literal = false;
    literals.push_back(std::move(text));
    text.clear();
    if (part.has_expr()) {
      result.regex_ += "([0-9]+)";
      result.checks_.push_back({++groups, "", &part.expr()});
      continue;
    }
    const plan::Capture& capture = DeclaredCapture(part, name, context);
    only_digits = only_digits && capture.kind() == plan::Capture::INT;
    CKMAP_ASSIGN_OR_RETURN(const size_t inner, result.AddGroup(capture, name, groups + 1, context, before_colon));
    groups += 1 + inner;
  }
  if (literal) {
    result.literal_ = std::move(text);
    return result;
  }
  literals.push_back(std::move(text));
  if (only_digits) result.FindDigits(literals);
  if (!result.around_digits_.empty()) return result;
  for (size_t i = 1; i + 1 < literals.size(); ++i) {
    if (literals[i].size() > result.holds_.size()) result.holds_ = literals[i];
  }
  result.begins_ = std::move(literals.front());
  result.ends_ = std::move(literals.back());
  CKMAP_RETURN_IF_ERROR(result.CompileRegex());
  return result;
}

Result<void> CompiledName::CompileRegex() {
  compiled_ = std::make_shared<RE2>(regex_, QuietOptions());
  if (compiled_->ok()) return {};
  return Error(ErrorCode::kMalformed, fmt::format("`{}`: {}", pattern_->text(), compiled_->error()));
}

// A run of digits that another digit or group adjoins could be cut in several ways: that is left to RE2.
void CompiledName::FindDigits(std::vector<std::string> literals) {
  for (size_t i = 0; i < literals.size(); ++i) {
    const std::string& literal = literals[i];
    if (i > 0 && i + 1 < literals.size() && literal.empty()) return;
    if (literal.empty()) continue;
    if ((i > 0 && IsDigit(literal.front())) || (i + 1 < literals.size() && IsDigit(literal.back()))) return;
  }
  around_digits_ = std::move(literals);
}

// Adds the group of one capture; gives the number of groups that a regular expression of the user has inside.
Result<size_t> CompiledName::AddGroup(const plan::Capture& capture, const std::string& name, size_t group,
                                      const Context& context, bool before_colon) {
  const std::string inner = CaptureRegex(capture, context.separator, before_colon);
  int inside = 0;
  if (capture.kind() == plan::Capture::REGEX) {
    const RE2 probe(inner, QuietOptions());
    if (!probe.ok()) {
      return Error(ErrorCode::kMalformed, fmt::format("`{}`: {}", pattern_->text(), probe.error()));
    }
    inside = probe.NumberOfCapturingGroups();
  }
  regex_ += "(" + inner + ")";
  if (std::find(groups_.begin(), groups_.end(), name) != groups_.end()) {
    checks_.push_back({group, name, nullptr});
  } else {
    groups_.push_back(name);
    group_index_.push_back(group);
  }
  return static_cast<size_t>(inside);
}

bool CompiledName::HoldsLiterals(std::string_view name) const {
  if (!compiled_) return name.starts_with(around_digits_.front()) && name.ends_with(around_digits_.back());
  return name.starts_with(begins_) && name.ends_with(ends_) &&
         (holds_.empty() || name.find(holds_) != std::string_view::npos);
}

// The texts of the groups of a name that matches; [0] is unused.
bool CompiledName::MatchGroups(std::string_view name, std::vector<std::string_view>& groups) const {
  if (compiled_) {
    const int count = compiled_->NumberOfCapturingGroups() + 1;
    std::vector<re2::StringPiece> pieces(static_cast<size_t>(count));
    const re2::StringPiece text(name.data(), name.size());
    if (!compiled_->Match(text, 0, text.size(), RE2::ANCHOR_BOTH, pieces.data(), count)) return false;
    for (const re2::StringPiece& piece : pieces) groups.emplace_back(piece.data(), piece.size());
    return true;
  }
  groups.emplace_back();
  for (size_t i = 0; i + 1 < around_digits_.size(); ++i) {
    if (!name.starts_with(around_digits_[i])) return false;
    name.remove_prefix(around_digits_[i].size());
    const size_t digits = static_cast<size_t>(std::find_if_not(name.begin(), name.end(), IsDigit) - name.begin());
    if (digits == 0) return false;
    groups.push_back(name.substr(0, digits));
    name.remove_prefix(digits);
  }
  return name == around_digits_.back();
}

bool CompiledName::Barred(std::string_view name) const {
  return std::any_of(barred_.begin(), barred_.end(), [&](const std::string& space) { return name.starts_with(space); });
}

bool CompiledName::MatchTexts(std::string_view name, std::vector<std::string_view>& texts) const {
  texts.clear();
  if (!barred_.empty() && Barred(name)) return false;
  if (literal_) return name == *literal_;
  if (around_digits_.empty() || !checks_.empty() || !HoldsLiterals(name) || !MatchGroups(name, texts)) return false;
  texts.erase(texts.begin());  // each group is a capture, in order
  return true;
}

bool CompiledName::Match(std::string_view name, const Scope& scope, Captures& captures) const {
  if (!barred_.empty() && Barred(name)) return false;
  if (literal_) return name == *literal_;
  if (!HoldsLiterals(name)) return false;
  std::vector<std::string_view> groups;
  groups.reserve(checks_.size() + groups_.size() + 1);
  if (!MatchGroups(name, groups)) return false;
  for (size_t i = 0; i < groups_.size(); ++i) captures[groups_[i]] = groups[group_index_[i]];
  for (const Check& check : checks_) {
    const std::string_view found = groups[check.group];
    if (check.expr == nullptr) {
      if (captures[check.same_as] != found) return false;
      continue;
    }
    const auto value = EvaluateInt(*check.expr, CaptureScope(scope, captures));
    if (!value || fmt::format("{}", *value) != found) return false;
  }
  return true;
}

size_t LiteralSize(const plan::Pattern& pattern) {
  size_t size = 0;
  for (const plan::Part& part : pattern.parts()) size += part.literal().size();
  return size;
}

bool HasAlternatives(const plan::Pattern& pattern) {
  return std::any_of(pattern.parts().begin(), pattern.parts().end(),
                     [](const plan::Part& part) { return part.has_alternatives(); });
}

Result<std::string> Instantiate(const plan::Pattern& pattern, const Scope& scope, const Captures& captures) {
  return Instantiate(pattern, {}, scope, captures);
}

Result<std::string> Instantiate(const plan::Pattern& pattern, const std::vector<size_t>& choices, const Scope& scope,
                                const Captures& captures) {
  std::string name;
  size_t next_choice = 0;
  for (const plan::Part& part : pattern.parts()) {
    if (part.has_literal()) {
      name += part.literal();
    } else if (part.has_alternatives()) {
      CKMAP_CHECK(next_choice < choices.size());
      name += part.alternatives().options(static_cast<int>(choices[next_choice++]));
    } else if (part.has_expr()) {
      CKMAP_ASSIGN_OR_RETURN(const Value value, Evaluate(part.expr(), CaptureScope(scope, captures)));
      if (const std::string* text = std::get_if<std::string>(&value)) {
        name += *text;
        continue;
      }
      const int64_t* number = std::get_if<int64_t>(&value);
      if (number == nullptr) {
        return Error(ErrorCode::kMismatch,
                     fmt::format("`{}`: {} is neither a number nor a text", pattern.text(), FormatValue(value)));
      }
      if (*number < 0) {
        return Error(ErrorCode::kMismatch,
                     fmt::format("`{}`: an index of {} stands in a name", pattern.text(), *number));
      }
      name += fmt::format("{}", *number);
    } else {
      const std::string& capture = part.has_capture() ? part.capture().name() : part.reference();
      const auto found = captures.find(capture);
      if (found == captures.end()) {
        return Error(ErrorCode::kMismatch, fmt::format("`{}`: `{{{}}}` has no value", pattern.text(), capture));
      }
      name += found->second;
    }
  }
  return name;
}

}  // namespace ckmap
