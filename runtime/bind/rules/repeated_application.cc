#include "runtime/bind/rules/repeated_application.h"

#include <algorithm>

#include "runtime/bind/computed_node.h"
#include "runtime/bind/rules/application.h"

namespace ckmap {
namespace {

// Whether the value of an expression may differ between applications of one rule to tensors of one shape. The depth of
// expressions is bounded by the plan's validation.
bool Varies(const plan::Expr& expr) {
  switch (expr.kind_case()) {
    case plan::Expr::kCapture:
    case plan::Expr::kName:
      return true;
    case plan::Expr::kCall:
      return std::any_of(expr.call().args().begin(), expr.call().args().end(), Varies);
    case plan::Expr::kList:
      return std::any_of(expr.list().items().begin(), expr.list().items().end(), Varies);
    default:
      return false;
  }
}

bool Varies(const plan::ShapePattern& shape) {
  return std::any_of(shape.dims().begin(), shape.dims().end(), [](const plan::Dim& dim) { return Varies(dim.expr()); });
}

bool Varies(const plan::Op& op) {
  return std::any_of(op.args().begin(), op.args().end(), [](const plan::Argument& arg) { return Varies(arg.value()); });
}

// One name on either side, and nothing that varies.
bool Repeats(const plan::Rule& rule) {
  const plan::Pipeline &source = rule.source(), &target = rule.target();
  if (source.terms_size() != 1 || !source.terms(0).has_pattern() || target.terms_size() != 1 ||
      !target.terms(0).has_pattern()) {
    return false;
  }
  if (target.terms(0).optional() || !ListLevels(target.terms(0).pattern()).empty()) return false;
  return !Varies(rule.when()) && !Varies(source.terms(0).shape()) && !Varies(target.terms(0).shape()) &&
         std::none_of(source.ops().begin(), source.ops().end(), [](const plan::Op& op) { return Varies(op); });
}

}  // namespace

RepeatedApplication::RepeatedApplication(const plan::Rule& rule, const CompiledName& pattern)
    : rule_(rule), pattern_(pattern), repeats_(Repeats(rule)) {
  literals_.emplace_back();
  for (const plan::Part& part : rule.target().terms(0).pattern().parts()) {
    if (part.has_literal()) {
      literals_.back() += part.literal();
      continue;
    }
    const std::string& name = part.has_capture() ? part.capture().name() : part.reference();
    const auto at = std::find(pattern.captures().begin(), pattern.captures().end(), name);
    if (at == pattern.captures().end()) repeats_ = false;  // computed, or an error that the whole way tells
    captures_.push_back(static_cast<size_t>(at - pattern.captures().begin()));
    literals_.emplace_back();
  }
}

std::optional<RuleInstance> RepeatedApplication::Apply(const BindContext& context, size_t tensor,
                                                       size_t& likely_target) {
  const TensorInfo& info = context.source[tensor];
  const bool own = context.visible.derived(tensor) == nullptr;  // a derived source is made of other tensors each time
  if (own && known_ && known_->dtype == info.dtype && known_->shape == info.shape) {
    if (auto instance = Repeat(context, tensor, likely_target)) return instance;
  }
  Captures captures;
  if (!pattern_.Match(info.name, context.variables, captures)) return std::nullopt;
  auto instance = ckmap::Apply(context, rule_, {}, {std::move(captures), {}, tensor});
  if (instance && repeats_ && own) Learn(context, tensor, *instance);
  return instance;
}

void RepeatedApplication::Learn(const BindContext& context, size_t tensor, const RuleInstance& instance) {
  if (!instance.issues.empty() || instance.writes.size() != 1 || instance.writes[0].target == RuleInstance::kNoTarget)
    return;
  const TensorInfo& info = context.source[tensor];
  Known known{info.dtype, info.shape, nullptr, instance.ops};
  if (const PiecedTensor* value = instance.writes[0].value.get()) {
    if (ComputedDepth(*value) > 0) return;  // nodes hold the tensors that they are computed from
    known.value = std::make_shared<PiecedTensor>(*value);
  }
  known_ = std::move(known);
}

// nullopt: what the whole way has to tell.
std::optional<RuleInstance> RepeatedApplication::Repeat(const BindContext& context, size_t tensor,
                                                        size_t& likely_target) {
  if (!pattern_.MatchTexts(context.source[tensor].name, texts_)) return std::nullopt;
  name_ = literals_.front();
  for (size_t i = 0; i < captures_.size(); ++i) name_.append(texts_[captures_[i]]).append(literals_[i + 1]);
  const auto target = context.target.Find(name_, likely_target);
  if (!target) return std::nullopt;
  likely_target = *target + 1;
  RuleInstance instance;
  instance.rule = &rule_;
  instance.sources = {tensor};
  instance.ops = known_->ops;
  instance.writes.push_back({*target, {}, known_->value, true});
  return instance;
}

}  // namespace ckmap
