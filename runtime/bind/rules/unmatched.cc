#include "runtime/bind/rules/unmatched.h"

#include <tuple>

#include <fmt/format.h>

namespace ckmap {

Result<void> UnmatchedStatements::Report(std::vector<Issue>& issues) {
  const plan::Plan& plan = context_.plan;
  for (const plan::Rule& rule : plan.derived()) {
    if (!Ours(rule.loc()) || applied_.contains(&rule)) continue;
    CKMAP_ASSIGN_OR_RETURN(const bool some, RuleNamesSome(rule, context_.visible.files()));
    if (!some) Add(fmt::format("the rule `{}`", rule.text()), rule.loc(), "names no tensor of the source", issues);
  }
  for (const plan::Rule& rule : plan.rules()) {
    if (!Ours(rule.loc()) || applied_.contains(&rule)) continue;
    CKMAP_ASSIGN_OR_RETURN(const bool some, RuleNamesSome(rule, context_.source));
    if (!some) Add(fmt::format("the rule `{}`", rule.text()), rule.loc(), "names no tensor of the source", issues);
  }
  for (const plan::Drop& drop : plan.drops()) {
    if (!Ours(drop.loc()) || drop.optional()) continue;
    CKMAP_ASSIGN_OR_RETURN(const bool some, NamesSome(drop.pattern(), {}, context_.source, context_.source_separator));
    if (!some)
      Add(fmt::format("`{} \"{}\"`", drop.only() ? "only" : "drop", drop.pattern().text()), drop.loc(),
          "names no tensor of the source", issues);
  }
  for (const plan::Init& init : plan.inits()) {
    if (!Ours(init.loc()) || init.optional()) continue;
    CKMAP_ASSIGN_OR_RETURN(const bool some, NamesSome(init.pattern(), {}, context_.target, context_.target_separator));
    if (!some)
      Add(fmt::format("`init \"{}\"`", init.pattern().text()), init.loc(), "names no tensor of the target", issues);
  }
  for (const auto& [renamer, manifest, side] :
       {std::tuple{&context_.renamer.of_source(), &context_.source, "source"},
        std::tuple{&context_.renamer.of_target(), &context_.target, "target"}}) {
    for (const RunRenamer::Entry& entry : renamer->entries()) {
      if (!Ours(entry.rename->loc()) || entry.rename->optional() || applied_.contains(entry.rename)) continue;
      if (FindsSome(*renamer, entry, *manifest)) continue;
      Add(fmt::format("the rename of `{}`", entry.rename->from().text()), entry.rename->loc(),
          fmt::format("finds it in no name of the {}", side), issues);
    }
  }
  return {};
}

// A rule that may do without its tensors may do without all of them.
Result<bool> UnmatchedStatements::RuleNamesSome(const plan::Rule& rule, const Manifest& source) {
  bool some = true, problem = false;
  Declared declared;
  ForEachName(rule.source(), [&](const plan::Term& term) {
    some = some && term.optional();
    for (const plan::Part& part : term.pattern().parts()) {
      if (part.has_capture()) declared.emplace(part.capture().name(), &part.capture());
    }
  });
  ForEachName(rule.source(), [&](const plan::Term& term) {
    if (some || problem) return;
    const auto found = NamesSome(term.pattern(), declared, source, context_.source_separator);
    problem = !found;  // told when the rule was applied
    some = found && *found;
  });
  return some || problem;
}

Result<bool> UnmatchedStatements::NamesSome(const plan::Pattern& pattern, const Declared& declared,
                                            const Manifest& manifest, const std::string& separator) {
  for (const std::vector<size_t>& choices : AllChoices(pattern)) {
    CKMAP_ASSIGN_OR_RETURN(
        const CompiledName name,
        CompiledName::Compile(Choose(pattern, choices),
                              {separator, context_.variables, {}, declared, {}, &context_.visible.spaces()}));
    if (Matches(name, manifest)) return true;
  }
  return false;
}

bool UnmatchedStatements::Matches(const CompiledName& pattern, const Manifest& manifest) {
  if (pattern.literal()) return manifest.Find(*pattern.literal()).has_value();
  for (size_t i = 0; i < manifest.size(); ++i) {
    Captures captures;
    if (!Look() || pattern.Match(manifest[i].name, context_.variables, captures)) return true;
  }
  return false;
}

bool UnmatchedStatements::FindsSome(const RunRenamer& renamer, const RunRenamer::Entry& entry,
                                    const Manifest& manifest) {
  const std::string& separator = renamer.from_separator();
  for (size_t i = 0; i < manifest.size(); ++i) {
    const std::string_view name = manifest[i].name;
    std::vector<size_t> begins = {0};  // of segments, and behind the last one
    for (size_t at = name.find(separator); at != std::string_view::npos;
         at = name.find(separator, at + separator.size()))
      begins.push_back(at + separator.size());
    begins.push_back(name.size() + separator.size());
    for (size_t first = 0; first + entry.segments < begins.size(); ++first) {
      const size_t end = begins[first + entry.segments] - separator.size();
      Captures captures;
      if (!Look() || entry.from.Match(name.substr(begins[first], end - begins[first]), context_.variables, captures))
        return true;
    }
  }
  return false;
}

void UnmatchedStatements::Add(std::string what, const plan::Location& loc, std::string_view where,
                              std::vector<Issue>& issues) const {
  issues.push_back({"CK1231",
                    IssueSeverity::kNote,
                    "",
                    fmt::format("{} {}", what, where),
                    {fmt::format("it stands at {}", context_.Where(loc))},
                    "correct the name or take the statement away; or mark the name with `?`, if it may be absent"});
}

}  // namespace ckmap
