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

const char* VariantLint::Text(Variant variant) {
  switch (variant) {
    case Variant::kUntransposed: return "fit without the transpose as well: they are square";
    case Variant::kTransposed: return "fit transposed as well: they are square";
    case Variant::kPartsReordered: return "fit in another order of their equal parts as well, or cut group by group";
    case Variant::kPartsUngrouped: return "fit in another order of their equal parts as well, or without the groups";
    case Variant::kJoinedReordered: break;
  }
  return "fit with their equal parts in another order as well";
}

void VariantLint::Count(Key key, Finding more) { findings_.try_emplace(key, Finding{more.first, 0}).first->second.count += more.count; }

void VariantLint::Add(const VariantLint& later) {
  for (const auto& [key, finding] : later.findings_) Count(key, finding);
}

void VariantLint::Look(const BindContext& context, const RuleInstance& instance, const BoundTensor& bound) {
  const bool confirmed = instance.rule != nullptr && !instance.rule->exactly().empty();
  if (confirmed || instance.rule == nullptr) return;
  const auto add = [&](Variant variant) { Count({instance.rule, variant}, {bound.target, 1}); };
  const bool permuted = HasOp(bound.ops, "permute") || HasOp(bound.ops, "rearrange");
  if (permuted && IsSquare(bound.shape)) add(Variant::kUntransposed);
  // Frameworks that agree in a tensor's name seldom differ in its axes, so that plain copies by
  // name are left alone.
  if (!permuted && instance.layer == nullptr && bound.shape.size() == 2 &&
      IsSquare(bound.shape)) {
    add(Variant::kTransposed);
  }
  // A fused tensor holds its parts one after another, or a piece of each for every group of heads: the
  // shapes are the same. Whoever reshapes has thought of groups.
  const bool grouped = HasOp(bound.ops, "reshape") || HasOp(bound.ops, "rearrange");
  if ((HasOp(bound.ops, "split") || HasOp(bound.ops, "unstack") || HasOp(bound.ops, "deinterleave")) && EqualResults(context, instance)) {
    add(grouped ? Variant::kPartsUngrouped : Variant::kPartsReordered);
  }
  if ((HasOp(bound.ops, "concat") || HasOp(bound.ops, "stack") || HasOp(bound.ops, "interleave")) && bound.inputs.size() > 1 &&
      bound.inputs[0].node == nullptr && bound.inputs[1].node == nullptr &&
      context.source[bound.inputs[0].source].shape == context.source[bound.inputs[1].source].shape) {
    add(Variant::kJoinedReordered);
  }
}

void VariantLint::Report(const BindContext& context, std::vector<Issue>& issues) const {
  std::map<std::pair<std::string, std::string>, Finding> lines;  // several rules may stand in one
  for (const auto& [key, finding] : findings_) {
    Finding& line = lines.try_emplace({context.Where(key.rule->loc()), Text(key.variant)}, Finding{finding.first, 0}).first->second;
    line.first = std::min(line.first, finding.first);
    line.count += finding.count;
  }
  for (const auto& [key, finding] : lines) {
    const std::string others = finding.count > 1 ? fmt::format(" and {} more", finding.count - 1) : "";
    const std::string& first = context.target[finding.first].name;
    issues.push_back({"CK1230", IssueSeverity::kNote, first,
                      fmt::format("{}: `{}`{} {}", key.first, first, others, key.second), {},
                      "if the rule is right, say so in it: exactly \"why\""});
  }
}

}  // namespace ckmap
