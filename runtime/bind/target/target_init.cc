// Target tensors that `init` makes.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/bind/computed_node.h"
#include "runtime/bind/target/target_binder.h"
#include "runtime/ops/scalar_bytes.h"

namespace ckmap {
namespace {

// The number that an argument of `init` has; `otherwise` if it is not given, NaN if it is not a number.
Number NumberOf(const plan::Init& init, std::string_view name, const Scope& scope, Number otherwise) {
  for (const plan::Argument& arg : init.args()) {
    if (arg.name() != name) continue;
    const auto given = Evaluate(arg.value(), scope);
    const auto* boolean = given ? std::get_if<bool>(&*given) : nullptr;
    if (boolean != nullptr) return int64_t{*boolean ? 1 : 0};
    const Result<Number> number = EvaluateNumber(arg.value(), scope);
    return number ? *number : Number(std::nan(""));
  }
  return otherwise;
}

int64_t Seed(const plan::Init& init, const Scope& scope) {
  for (const plan::Argument& arg : init.args()) {
    if (arg.name() == "seed") return EvaluateInt(arg.value(), scope).ok() ? *EvaluateInt(arg.value(), scope) : 0;
  }
  return 0;
}

}  // namespace

Result<bool> TargetBinder::Initialize(size_t index, BoundTensor& bound) {
  const TensorInfo& target = context_.target[index];
  const NamePrefix prefix;
  for (const auto& [init, pattern] : statements_.inits) {
    Captures captures;
    if (!pattern.Match(target.name, context_.variables, captures)) continue;
    if (init->has_when()) {
      auto when = EvaluateBool(init->when(), ApplicationScope(context_, prefix, captures));
      if (!when) {
        Add("CK1216", target.name, fmt::format("`when` cannot be decided: {}", when.error().message()),
            {fmt::format("the statement is at {}", context_.Where(init->loc()))}, "correct the condition");
        return false;
      }
      if (!*when) continue;
    }
    part_.inits.insert(init);
    if (init->kind() == plan::Init::KEEP) {
      part_.kept.push_back({target.name, context_.Where(init->loc())});
      return false;
    }
    return Fill(*init, index, bound);
  }
  part_.missing.push_back(index);
  return false;
}

bool TargetBinder::Fill(const plan::Init& init, size_t index, BoundTensor& bound) {
  const TensorInfo& target = context_.target[index];
  bound.target = index;
  bound.name = target.name;
  bound.dtype = target.dtype;
  bound.shape = target.shape;
  bound.rule = context_.Where(init.loc());
  bound.initialized = true;
  const bool open = std::find(target.shape.begin(), target.shape.end(), -1) != target.shape.end();
  const bool fits = init.kind() == plan::Init::NORMAL ? FillNormal(init, bound) : FillConstant(init, bound);
  if (!fits) {
    const bool rounded = init.kind() == plan::Init::CONSTANT && IsInteger(target.dtype) &&
                         MayBeRounded(NumberOf(init, "value", context_.variables, int64_t{0}));
    Add("CK1219", target.name,
        fmt::format("`{}` ({} {}) cannot be initialised with {}", target.name, DTypeName(target.dtype),
                    FormatShape(target.shape), bound.ops.front()),
        {fmt::format("the statement is at {}", context_.Where(init.loc()))},
        open      ? "its shape must be known: complete the target's spec"
        : rounded ? std::string(kWriteAllDigits)
                  : "choose a value that the dtype can hold, or `keep`");
  }
  return fits;
}

bool TargetBinder::FillConstant(const plan::Init& init, BoundTensor& bound) const {
  const bool constant = init.kind() == plan::Init::CONSTANT;
  const Number value = NumberOf(init, "value", context_.variables, int64_t{init.kind() == plan::Init::ONES ? 1 : 0});
  bound.ops = {constant                          ? fmt::format("constant({})", FormatNumber(value))
               : init.kind() == plan::Init::ONES ? "ones"
                                                 : "zeros"};
  const auto bytes = ScalarBytes(value, bound.dtype);
  if (!bytes || !NumElements(bound.shape)) return false;
  bound.value = WholeTensor(kFillInput, bound.shape);
  bound.fill = *bytes;
  return true;
}

bool TargetBinder::FillNormal(const plan::Init& init, BoundTensor& bound) const {
  NormalSpec spec;
  spec.mean = ExactDouble(NumberOf(init, "mean", context_.variables, int64_t{0})).value_or(std::nan(""));
  spec.deviation = ExactDouble(NumberOf(init, "std", context_.variables, int64_t{1})).value_or(std::nan(""));
  const int64_t seed = Seed(init, context_.variables);
  spec.seed = static_cast<uint64_t>(seed);
  spec.stream = bound.name;
  bound.ops = {fmt::format("normal(mean={}, std={}, seed={})", spec.mean, spec.deviation, seed)};
  const bool real =
      IsFloat(bound.dtype) && DTypeBits(bound.dtype) >= 8 && bound.dtype != DType::kF4 && bound.dtype != DType::kF8E8M0;
  if (!real || !NumElements(bound.shape) || !std::isfinite(spec.mean) || !std::isfinite(spec.deviation) ||
      spec.deviation < 0)
    return false;
  ComputedNode node;
  node.text = bound.ops.front();
  node.spec = std::move(spec);
  node.shape = bound.shape;
  node.dtype = bound.dtype;
  bound.inputs.push_back({0, {}, std::make_shared<const ComputedNode>(std::move(node))});
  bound.value = WholeTensor(0, bound.shape);
  return true;
}

}  // namespace ckmap
