#include "runtime/bind/target/decisions.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr std::string_view kCode = "CK1240";
constexpr size_t kNamed = 4;  // tensors that an issue lists

bool IsDecision(plan::TargetPolicy::Kind kind) {
  return kind == plan::TargetPolicy::DECIDE || kind == plan::TargetPolicy::DECIDE_MISSING ||
         kind == plan::TargetPolicy::DECIDE_UNUSED;
}

// The name, if the pattern is one.
std::optional<std::string> LiteralName(const plan::Pattern& pattern) {
  if (!pattern.regex().empty()) return std::nullopt;
  std::string name;
  for (const plan::Part& part : pattern.parts()) {
    if (!part.has_literal()) return std::nullopt;
    name += part.literal();
  }
  return name;
}

void AddTensors(const BindContext& context, const TargetStatements::Policy& entry, const BoundPlan& bound,
                std::vector<std::string>& tensors) {
  // What `missing` and `unused` let pass is known by the statement that let it.
  const std::string where = context.Where(entry.policy->loc());
  if (entry.policy->kind() == plan::TargetPolicy::DECIDE_MISSING) {
    for (const KeptTensor& tensor : bound.kept) {
      if (tensor.rule == where) tensors.push_back(tensor.name);
    }
  } else if (entry.policy->kind() == plan::TargetPolicy::DECIDE_UNUSED) {
    for (const DroppedTensor& tensor : bound.dropped) {
      if (tensor.rule == where) tensors.push_back(tensor.name);
    }
  } else if (const auto name = LiteralName(entry.policy->pattern())) {
    if (bound.target.Find(*name)) tensors.push_back(*name);
  } else {
    for (const TensorInfo& tensor : bound.target.tensors()) {
      const bool named = std::any_of(entry.patterns.begin(), entry.patterns.end(), [&](const CompiledName& pattern) {
        Captures captures;
        return pattern.Match(tensor.name, context.variables, captures);
      });
      if (named) tensors.push_back(tensor.name);
    }
  }
}

struct Decision {
  std::string question;
  std::string where;                 // "draft.ckmap:12"
  std::vector<std::string> tensors;  // that it concerns; of the source for `decide … unused`
};

std::string Concerned(const Decision& decision) {
  std::string list;
  for (size_t i = 0; i < std::min(decision.tensors.size(), kNamed); ++i)
    list += fmt::format("{}`{}`", i == 0 ? "" : ", ", EscapeText(decision.tensors[i]));
  if (decision.tensors.size() > kNamed) list += fmt::format(" and {} more", decision.tensors.size() - kNamed);
  return list;
}

}  // namespace

void ReportDecisions(const BindContext& context, const TargetStatements& statements, const BoundPlan& bound,
                     std::vector<Issue>& issues) {
  // The names of one statement are policies of one place.
  std::map<std::tuple<uint32_t, uint32_t, uint32_t>, size_t> by_place;
  std::vector<Decision> decisions;
  for (const TargetStatements::Policy& entry : statements.policies) {
    const plan::TargetPolicy& policy = *entry.policy;
    if (!IsDecision(policy.kind())) continue;
    const auto [found, fresh] =
        by_place.try_emplace({policy.loc().file(), policy.loc().line(), policy.loc().column()}, decisions.size());
    if (fresh) decisions.push_back({policy.question(), context.Where(policy.loc()), {}});
    std::vector<std::string>& tensors = decisions[found->second].tensors;
    if (policy.has_pattern() && (fresh || policy.kind() == plan::TargetPolicy::DECIDE))
      AddTensors(context, entry, bound, tensors);
  }
  for (const Decision& decision : decisions) {
    Issue issue{std::string(kCode),
                IssueSeverity::kWarning,
                "",
                fmt::format("not decided yet: {}", EscapeText(decision.question)),
                {fmt::format("at {}", decision.where)},
                "correct the rules where they are wrong, then take the `decide` statement out"};
    if (!decision.tensors.empty()) {
      issue.tensor = decision.tensors.front();
      issue.notes.push_back(fmt::format("it concerns {}", Concerned(decision)));
    }
    issues.push_back(std::move(issue));
  }
}

bool RefuseOpenDecisions(std::vector<Issue>& issues) {
  bool open = false;
  for (Issue& issue : issues) {
    if (issue.code != kCode) continue;
    issue.severity = IssueSeverity::kError;
    open = true;
  }
  std::stable_sort(issues.begin(), issues.end(),
                   [](const Issue& a, const Issue& b) { return a.severity < b.severity; });
  return open;
}

Result<void> CheckDecided(const std::vector<Issue>& issues) {
  for (const Issue& issue : issues) {
    if (issue.code == kCode)
      return Error(ErrorCode::kMismatch, fmt::format("{} ({})", issue.message, issue.notes.front()));
  }
  return {};
}

}  // namespace ckmap
