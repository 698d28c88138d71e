#include "runtime/bind/explain/pattern_distance.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"
#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {
namespace {

constexpr const char* kRest = "rest of the name";

std::string Describe(const plan::Part& part) {
  if (part.has_literal()) return QuoteName(part.literal());
  if (part.has_reference()) return fmt::format("`{{{}}}`", part.reference());
  if (part.has_expr()) return "a computed number";
  if (!part.has_capture()) return "a list of names";
  switch (part.capture().kind()) {
    case plan::Capture::INT:
      return fmt::format("digits for `{{{}}}`", part.capture().name());
    case plan::Capture::CHOICE:
      return fmt::format("one of {}", fmt::join(part.capture().choices(), ", "));
    case plan::Capture::REGEX:
      return fmt::format("what /{}/ matches", part.capture().regex());
    default:
      return fmt::format("a part for `{{{}}}`", part.capture().name());
  }
}

// The first `count` parts of a pattern, then anything.
plan::Pattern Head(const plan::Pattern& pattern, int count) {
  plan::Pattern head;
  for (int i = 0; i < count; ++i) *head.add_parts() = pattern.parts(i);
  plan::Capture& rest = *head.add_parts()->mutable_capture();
  rest.set_name(kRest);
  rest.set_kind(plan::Capture::REGEX);
  rest.set_regex(".*");
  return head;
}

PatternMatch MatchOne(const plan::Pattern& pattern, const std::string& name, const CompiledName::Context& context) {
  PatternMatch match;
  if (const auto whole = CompiledName::Compile(pattern, context);
      whole && whole->Match(name, context.scope, match.captures)) {
    match.matches = true;
    match.closeness = name.size() + 1;
    return match;
  }
  match.captures.clear();
  if (!pattern.regex().empty()) {
    match.why = "the name does not match its regular expression";
    return match;
  }
  for (int count = pattern.parts_size(); count >= 0; --count) {
    const auto head = CompiledName::Compile(Head(pattern, count), context);
    Captures captures;
    if (!head || !head->Match(name, context.scope, captures)) continue;
    std::string rest = captures[kRest];
    match.closeness = name.size() - rest.size();
    if (count == pattern.parts_size()) {
      match.why = fmt::format("the name goes on with {} where the rule's ends", QuoteName(rest));
      return match;
    }
    const plan::Part& part = pattern.parts(count);
    std::string wanted = Describe(part);
    if (part.has_literal()) {
      // As far as the literal goes along with the name, it fits too.
      const std::string& literal = part.literal();
      const auto same = static_cast<size_t>(
          std::mismatch(literal.begin(), literal.end(), rest.begin(), rest.end()).first - literal.begin());
      match.closeness += same;
      wanted = QuoteName(literal.substr(same));
      rest = rest.substr(same);
    }
    const std::string before = name.substr(0, match.closeness);
    match.why = rest.empty() ? fmt::format("the name ends where the rule wants {}", wanted)
                             : fmt::format("{}the name has {}, the rule wants {}",
                                           before.empty() ? "" : fmt::format("behind {} ", QuoteName(before)),
                                           QuoteName(rest), wanted);
    return match;
  }
  return match;
}

}  // namespace

std::vector<PatternMatch> MatchSide(const plan::Rule& rule, bool target, const std::string& name,
                                    const std::string& separator, const Scope& scope) {
  CompiledName::Context context{separator, scope};
  ForEachName(rule.source(), [&](const plan::Term& term) {
    for (const plan::Part& part : term.pattern().parts()) {
      if (part.has_capture()) context.declared.emplace(part.capture().name(), &part.capture());
    }
  });
  std::vector<PatternMatch> matches;
  ForEachName(target ? rule.target() : rule.source(), [&](const plan::Term& term) {
    for (const std::vector<size_t>& choices : AllChoices(term.pattern()))
      matches.push_back(MatchOne(Choose(term.pattern(), choices), name, context));
  });
  return matches;
}

}  // namespace ckmap
