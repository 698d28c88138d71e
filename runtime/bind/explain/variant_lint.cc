#include "runtime/bind/explain/variant_lint.h"

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

// Whether the first two of what it is joined from have one shape.
bool EqualInputs(const BindContext& context, const BoundTensor& bound) {
  return bound.inputs.size() > 1 && bound.inputs[0].node == nullptr && bound.inputs[1].node == nullptr &&
         context.visible.files()[bound.inputs[0].source].shape == context.visible.files()[bound.inputs[1].source].shape;
}

const char* Text(RuleVariants::Variant variant) {
  using Variant = RuleVariants::Variant;
  switch (variant) {
    case Variant::kUntransposed:
      return "fit without the transpose as well: they are square";
    case Variant::kTransposed:
      return "fit transposed as well: they are square";
    case Variant::kPartsReordered:
      return "fit in another order of their equal parts as well, or cut group by group";
    case Variant::kPartsUngrouped:
      return "fit in another order of their equal parts as well, or without the groups";
    case Variant::kJoinedReordered:
      break;
  }
  return "fit with their equal parts in another order as well";
}

}  // namespace

void RuleVariants::Finding::Add(const Finding& more) {
  if (more.count == 0) return;
  first = count == 0 ? more.first : std::min(first, more.first);
  count += more.count;
}

void RuleVariants::Add(const RuleVariants& later) {
  for (size_t i = 0; i < kVariants; ++i) findings_[i].Add(later.findings_[i]);
}

// What shapes tell is asked first: it is the cheaper question.
void RuleVariants::Look(const BindContext& context, const RuleInstance& instance, const BoundTensor& bound) {
  const bool confirmed = !instance.rule->exactly().empty();
  if (confirmed) return;
  const auto add = [&](Variant variant) { findings_[static_cast<size_t>(variant)].Add({bound.target, 1}); };
  if (IsSquare(bound.shape)) {
    const bool permuted = HasOp(bound.ops, "permute") || HasOp(bound.ops, "rearrange");
    if (permuted) add(Variant::kUntransposed);
    // Frameworks that agree in a tensor's name seldom differ in its axes, so that plain copies by
    // name are left alone.
    if (!permuted && instance.layer == nullptr && bound.shape.size() == 2) add(Variant::kTransposed);
  }
  // A fused tensor holds its parts one after another, or a piece of each for every group of heads: the
  // shapes are the same. Whoever reshapes has thought of groups.
  if (EqualResults(context, instance) &&
      (HasOp(bound.ops, "split") || HasOp(bound.ops, "unstack") || HasOp(bound.ops, "deinterleave"))) {
    const bool grouped = HasOp(bound.ops, "reshape") || HasOp(bound.ops, "rearrange");
    add(grouped ? Variant::kPartsUngrouped : Variant::kPartsReordered);
  }
  if (EqualInputs(context, bound) &&
      (HasOp(bound.ops, "concat") || HasOp(bound.ops, "stack") || HasOp(bound.ops, "interleave"))) {
    add(Variant::kJoinedReordered);
  }
}

void ReportVariants(const BindContext& context, const std::unordered_map<const plan::Rule*, RuleVariants>& rules,
                    std::vector<Issue>& issues) {
  std::map<std::pair<std::string, std::string>, RuleVariants::Finding> lines;  // several rules may stand in one
  for (const auto& [rule, variants] : rules) {
    for (size_t i = 0; i < RuleVariants::kVariants; ++i) {
      const RuleVariants::Finding& finding = variants.findings()[i];
      if (finding.count == 0) continue;
      lines[{context.Where(rule->loc()), Text(static_cast<RuleVariants::Variant>(i))}].Add(finding);
    }
  }
  for (const auto& [key, finding] : lines) {
    const std::string others = finding.count > 1 ? fmt::format(" and {} more", finding.count - 1) : "";
    const std::string& first = context.target[finding.first].name;
    issues.push_back({"CK1230",
                      IssueSeverity::kNote,
                      first,
                      fmt::format("{}: `{}`{} {}", key.first, first, others, key.second),
                      {},
                      "if the rule is right, say so in it: exactly \"why\""});
  }
}

}  // namespace ckmap
