#include "runtime/bind/rules/derived_sources.h"

#include <algorithm>
#include <functional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

namespace ckmap {
namespace {

std::string RuleAt(const BindContext& context, const plan::Rule& rule) {
  return fmt::format("{}: {}", context.Where(rule.loc()), rule.text());
}

// `override` goes before the other rules of the level, on what it reads and on what it makes.
std::vector<RuleInstance> WithoutOverruled(std::vector<RuleInstance> instances) {
  std::unordered_set<size_t> read;
  std::unordered_set<std::string> made;
  for (const RuleInstance& instance : instances) {
    if (!instance.rule->overrides()) continue;
    read.insert(instance.sources.begin(), instance.sources.end());
    for (const RuleInstance::Write& write : instance.writes) made.insert(write.name);
  }
  if (read.empty()) return instances;
  std::erase_if(instances, [&](const RuleInstance& instance) {
    return !instance.rule->overrides() &&
           (std::any_of(instance.sources.begin(), instance.sources.end(),
                        [&](size_t source) { return read.contains(source); }) ||
            std::any_of(instance.writes.begin(), instance.writes.end(),
                        [&](const RuleInstance::Write& write) { return made.contains(write.name); }));
  });
  return instances;
}

VisibleSource::Derivation Derive(const BindContext& context, const RuleInstance& instance,
                                 const RuleInstance::Write& write) {
  VisibleSource::Derivation made;
  made.source.value = TakeValue(context, instance, write);
  made.source.ops = instance.ops;
  made.source.rule = instance.rule;
  made.source.files = context.visible.FilesOf(instance.sources);
  made.reads = instance.sources;
  made.info.name = write.name;
  made.info.dtype = made.source.value.dtype;
  made.info.shape = made.source.value.value.shape;
  return made;
}

// Of one level: none of them sees what another one makes.
Result<void> DeriveLevel(const BindContext& context, const std::vector<const plan::Rule*>& rules,
                         VisibleSource& visible, std::vector<Issue>& issues) {
  CKMAP_ASSIGN_OR_RETURN(std::vector<RuleInstance> instances, BindRules(context, rules, issues));
  std::unordered_set<const plan::Rule*> applied;
  for (const RuleInstance& instance : instances) applied.insert(instance.rule);
  instances = WithoutOverruled(std::move(instances));
  std::vector<VisibleSource::Derivation> derivations;
  std::unordered_map<std::string, const plan::Rule*> makers;
  const auto taken = [&](const std::string& name, const plan::Rule& rule, std::string why, std::string note) {
    issues.push_back({"CK1227",
                      IssueSeverity::kError,
                      name,
                      fmt::format("a derived source cannot be named `{}`: {}", name, why),
                      {fmt::format("the rule is {}", RuleAt(context, rule)), std::move(note)},
                      "give it another name, give one rule a `when`, or say `override` in front of the stronger one"});
  };
  for (RuleInstance& instance : instances) {
    issues.insert(issues.end(), instance.issues.begin(), instance.issues.end());
    for (const RuleInstance::Write& write : instance.writes) {
      const auto [maker, fresh] = makers.try_emplace(write.name, instance.rule);
      if (!fresh) {
        taken(write.name, *instance.rule, "another one has the name",
              fmt::format("the other one is made by {}", RuleAt(context, *maker->second)));
        continue;
      }
      derivations.push_back(Derive(context, instance, write));
    }
  }
  if (!issues.empty()) return {};
  for (const std::string& name : visible.Replace(std::move(derivations))) {
    const auto maker = makers.find(name);
    taken(name, *maker->second, "the source has a tensor of this name, which the rule does not read",
          "a derived source stands in the place of what it is made of");
  }
  return {};
}

}  // namespace

Result<void> DeriveSources(const plan::Plan& plan, const Manifest& target, const BoundVariables& variables,
                           const Renamer& renamer, VisibleSource& visible, std::vector<Issue>& issues) {
  std::set<uint32_t, std::greater<>> levels;
  const auto level_of = [&](const plan::Rule& rule) { return plan.files(static_cast<int>(rule.loc().file())).level(); };
  for (const plan::Rule& rule : plan.derived()) levels.insert(level_of(rule));
  for (const uint32_t level : levels) {
    std::vector<const plan::Rule*> rules;
    for (const plan::Rule& rule : plan.derived()) {
      if (level_of(rule) == level) rules.push_back(&rule);
    }
    BindContext context(plan, visible, target, variables, renamer);
    context.deriving = true;
    CKMAP_RETURN_IF_ERROR(DeriveLevel(context, rules, visible, issues));
    if (!issues.empty()) return {};
  }
  return {};
}

}  // namespace ckmap
