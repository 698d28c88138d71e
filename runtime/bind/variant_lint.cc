#include "runtime/bind/variant_lint.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace ckmap {
namespace {

bool HasOp(const std::vector<std::string>& ops, std::string_view name) {
  return std::any_of(ops.begin(), ops.end(), [&](const std::string& op) { return op.starts_with(name); });
}

bool IsSquare(const Shape& shape) {
  return shape.size() >= 2 && shape[shape.size() - 1] == shape[shape.size() - 2] && shape.back() > 1;
}

// Whether at least two of the application's results have one shape.
bool EqualResults(const BindContext& context, const RuleInstance& instance) {
  return instance.writes.size() > 1 && instance.writes[0].target != RuleInstance::kNoTarget &&
         instance.writes[1].target != RuleInstance::kNoTarget &&
         context.target[instance.writes[0].target].shape == context.target[instance.writes[1].target].shape;
}

}  // namespace

VariantLint::Finding& VariantLint::Of(const plan::Rule* rule, const char* what, const std::string& where,
                                      const std::string& first) {
  std::vector<Finding>& of_rule = findings_[rule];
  for (Finding& finding : of_rule) {
    if (std::string_view(finding.what) == what) return finding;
  }
  return of_rule.emplace_back(Finding{what, where, first, 0});
}

void VariantLint::Add(const plan::Rule* rule, const char* what, const BoundTensor& bound) {
  ++Of(rule, what, bound.rule, bound.name).count;
}

void VariantLint::Add(const VariantLint& later) {
  for (const auto& [rule, found] : later.findings_) {
    for (const Finding& finding : found) Of(rule, finding.what, finding.where, finding.first).count += finding.count;
  }
}

void VariantLint::Look(const BindContext& context, const RuleInstance& instance, const BoundTensor& bound) {
  const bool confirmed = instance.rule != nullptr && !instance.rule->exactly().empty();
  if (confirmed) return;
  const bool permuted = HasOp(bound.ops, "permute") || HasOp(bound.ops, "rearrange");
  if (permuted && IsSquare(bound.shape)) Add(instance.rule, "fit without the transpose as well: they are square", bound);
  // Frameworks that agree in a tensor's name seldom differ in its axes, so that plain copies by
  // name are left alone.
  if (!permuted && instance.rule != nullptr && instance.layer == nullptr && bound.shape.size() == 2 &&
      IsSquare(bound.shape)) {
    Add(instance.rule, "fit transposed as well: they are square", bound);
  }
  // A fused tensor holds its parts one after another, or a piece of each for every group of heads: the
  // shapes are the same. Whoever reshapes has thought of groups.
  const bool grouped = HasOp(bound.ops, "reshape") || HasOp(bound.ops, "rearrange");
  if ((HasOp(bound.ops, "split") || HasOp(bound.ops, "unstack") || HasOp(bound.ops, "deinterleave")) && EqualResults(context, instance)) {
    Add(instance.rule, grouped ? "fit in another order of their equal parts as well, or without the groups"
                            : "fit in another order of their equal parts as well, or cut group by group", bound);
  }
  if ((HasOp(bound.ops, "concat") || HasOp(bound.ops, "stack") || HasOp(bound.ops, "interleave")) && bound.inputs.size() > 1 &&
      bound.inputs[0].node == nullptr && bound.inputs[1].node == nullptr &&
      context.source[bound.inputs[0].source].shape == context.source[bound.inputs[1].source].shape) {
    Add(instance.rule, "fit with their equal parts in another order as well", bound);
  }
}

void VariantLint::Report(std::vector<Issue>& issues) const {
  std::map<std::pair<std::string, std::string>, Finding> sorted;  // several rules may stand in one line
  for (const auto& [rule, found] : findings_) {
    for (const Finding& finding : found) {
      Finding& line = sorted.try_emplace({finding.where, finding.what}, Finding{finding.what, finding.where, finding.first, 0}).first->second;
      line.first = std::min(line.first, finding.first);
      line.count += finding.count;
    }
  }
  for (const auto& [key, finding] : sorted) {
    const std::string others = finding.count > 1 ? fmt::format(" and {} more", finding.count - 1) : "";
    issues.push_back({"CK1230", IssueSeverity::kNote, finding.first,
                      fmt::format("{}: `{}`{} {}", key.first, finding.first, others, key.second), {},
                      "if the rule is right, say so in it: exactly \"why\""});
  }
}

}  // namespace ckmap
