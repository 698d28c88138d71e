#include "runtime/bind/repeated_application.h"

#include <algorithm>

#include "runtime/bind/application.h"

namespace ckmap {
namespace {

// Whether the value of an expression may differ between applications of one rule to tensors of one shape. The depth of
// expressions is bounded by the plan's validation.
bool Varies(const plan::Expr& expr) {
  switch (expr.kind_case()) {
    case plan::Expr::kCapture:
    case plan::Expr::kName: return true;
    case plan::Expr::kCall: return std::any_of(expr.call().args().begin(), expr.call().args().end(), Varies);
    case plan::Expr::kList: return std::any_of(expr.list().items().begin(), expr.list().items().end(), Varies);
    default: return false;
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

RepeatedApplication::RepeatedApplication(const plan::Rule& rule) : rule_(rule), repeats_(Repeats(rule)) {}

std::optional<RuleInstance> RepeatedApplication::Apply(const BindContext& context, Captures captures, size_t tensor) {
  const TensorInfo& info = context.source[tensor];
  if (known_ && known_->dtype == info.dtype && known_->shape == info.shape) {
    if (auto instance = Repeat(context, captures, tensor)) return instance;
  }
  auto instance = ckmap::Apply(context, rule_, {}, {std::move(captures), {}, tensor});
  if (instance && repeats_) Learn(context, tensor, *instance);
  return instance;
}

void RepeatedApplication::Learn(const BindContext& context, size_t tensor, const RuleInstance& instance) {
  if (!instance.issues.empty() || instance.writes.size() != 1 || instance.writes[0].target == RuleInstance::kNoTarget) return;
  Known known{context.source[tensor].dtype, context.source[tensor].shape, true, {}, instance.ops};
  if (const TensorValue* value = instance.writes[0].tensor.get()) {
    // Nodes hold the tensors that they are computed from.
    if (value->inputs.size() != 1 || value->inputs[0].node != nullptr) return;
    known.whole = false;
    known.value = *value;
  }
  known_ = std::move(known);
}

// nullopt: what the whole way has to tell.
std::optional<RuleInstance> RepeatedApplication::Repeat(const BindContext& context, const Captures& captures,
                                                        size_t tensor) const {
  const NamePrefix no_prefix;
  const auto name = Instantiate(rule_.target().terms(0).pattern(), ApplicationScope(context, no_prefix, captures), captures);
  const auto target = name ? context.target.Find(*name) : std::nullopt;
  if (!target) return std::nullopt;
  RuleInstance instance;
  instance.rule = &rule_;
  instance.sources = {tensor};
  instance.ops = known_->ops;
  std::unique_ptr<TensorValue> value;
  if (!known_->whole) {
    value = std::make_unique<TensorValue>(known_->value);
    value->inputs[0].source = tensor;
    value->name = context.source[tensor].name;
  }
  instance.writes.push_back({*target, {}, std::move(value)});
  return instance;
}

}  // namespace ckmap
