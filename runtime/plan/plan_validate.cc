#include "runtime/plan/plan_validate.h"

#include <algorithm>
#include <string>

#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/ops/op_table.h"
#include "runtime/plan/device_name.h"
#include "runtime/plan/plan_names.h"
#include "runtime/tensor/dtype.h"

namespace ckmap {
namespace {

// Sizes that an expression in brackets names: it may bind the one that is open.
void CollectSizes(const plan::Expr& expr, PlanNameSet& dims, int depth) {
  if (depth > 64) return;  // deeper expressions are refused
  if (expr.kind_case() == plan::Expr::kDim) dims.insert(expr.dim());
  for (const plan::Expr& arg : expr.call().args()) CollectSizes(arg, dims, depth + 1);
}

class Validator {
 public:
  explicit Validator(const plan::Plan& plan) : plan_(plan), names_(plan) {}
  Result<void> Run();

 private:
  Result<void> Header();
  Result<void> Collect(const plan::Pipeline& pipeline, PlanNameSet& captures, PlanNameSet& dims, int depth);
  Result<void> Pipeline(const plan::Pipeline& pipeline, const PlanScope& scope);
  Result<void> Shape(const plan::ShapePattern& shape, const PlanScope& scope);
  Result<void> Op(const plan::Op& op, const PlanScope& scope);
  Result<void> ArgValue(const ArgSpec& spec, const plan::Expr& value, const PlanScope& scope);
  Result<void> Variable(const plan::Variable& variable);
  Result<void> Rename(const plan::Rename& rename);
  Result<void> Rule(const plan::Rule& rule);
  Result<void> Layer(const plan::Layer& layer);
  Result<void> ModuleIs(const plan::ModuleIs& module);
  Result<void> Drop(const plan::Drop& drop);
  Result<void> Init(const plan::Init& init);
  Result<void> Policy(const plan::TargetPolicy& policy);
  Result<void> Place(const plan::Place& place);
  Result<void> Shard(const plan::Shard& shard);
  Result<void> Assert(const plan::Assert& assertion);

  const plan::Plan& plan_;
  PlanNames names_;
  PlanNameSet layers_;
};

Result<void> Validator::Header() {
  if (plan_.edition() != 1) {
    return BadPlan(fmt::format("the plan is of language edition {}, this ckmap knows edition 1", plan_.edition()));
  }
  if (plan_.files().empty()) return BadPlan("it names no file that it was compiled from");
  for (const std::string* separator : {&plan_.source_separator(), &plan_.target_separator()}) {
    if (separator->size() > 8 || EscapeText(*separator) != *separator) {
      return BadPlan(fmt::format("{} is no separator of names", QuoteName(*separator)));
    }
  }
  return ForEachItem(plan_.files(), "files", [](const plan::SourceFile& file) -> Result<void> {
    if (file.name().empty()) return BadPlan("a file without a name");
    const std::string& digest = file.sha256();
    if (digest.size() != 64 || digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return BadPlan(fmt::format("the digest of {} is no SHA-256", QuoteName(file.name())));
    }
    if (file.level() > 1000) return PlanTooLarge(fmt::format("{} has level {}", QuoteName(file.name()), file.level()));
    return {};
  });
}

// ---- rules -----------------------------------------------------------------

Result<void> Validator::Collect(const plan::Pipeline& pipeline, PlanNameSet& captures, PlanNameSet& dims, int depth) {
  if (depth > kMaxPipelineDepth) {
    return PlanTooLarge(fmt::format("a pipeline nests more than {} levels deep", kMaxPipelineDepth));
  }
  for (const plan::Term& term : pipeline.terms()) {
    for (const plan::Dim& dim : term.shape().dims()) {
      if (dim.kind_case() == plan::Dim::kBind) dims.insert(dim.bind());
      if (dim.has_expr()) CollectSizes(dim.expr(), dims, 0);
    }
    CKMAP_RETURN_IF_ERROR(term.has_pipeline() ? Collect(term.pipeline(), captures, dims, depth + 1)
                                              : names_.CollectCaptures(term.pattern(), captures));
  }
  return {};
}

Result<void> Validator::Shape(const plan::ShapePattern& shape, const PlanScope& scope) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(shape.loc()));
  if (shape.dims_size() > 64) return PlanTooLarge(fmt::format("a shape of {} axes", shape.dims_size()));
  int rests = 0;
  return ForEachItem(shape.dims(), "shape", [&](const plan::Dim& dim) -> Result<void> {
    switch (dim.kind_case()) {
      case plan::Dim::kBind:
        if (dim.bind().empty()) return BadPlan("a size without a name");
        return {};
      case plan::Dim::kExpr:
        return names_.OptionalExpr(true, dim.expr(), "size", scope);
      case plan::Dim::kAny:
        return {};
      case plan::Dim::kRest:
        if (++rests > 1) return BadPlan("`...` twice in one shape");
        return {};
      case plan::Dim::KIND_NOT_SET:
        break;
    }
    return BadPlan("an empty size");
  });
}

Result<void> Validator::ArgValue(const ArgSpec& spec, const plan::Expr& value, const PlanScope& scope) {
  const auto kind = value.kind_case();
  const bool is_list = kind == plan::Expr::kList;
  const bool wants_list = spec.type == ArgType::kIntList || spec.type == ArgType::kDims;
  const bool wants_text = spec.type == ArgType::kText || spec.type == ArgType::kWord || spec.type == ArgType::kDType;
  const bool absent = kind == plan::Expr::kNone;
  if ((absent && spec.required) || (is_list && !wants_list) || (kind == plan::Expr::kText && !wants_text) ||
      kind == plan::Expr::kName || (kind == plan::Expr::kBoolean && spec.type != ArgType::kBool) ||
      (spec.type == ArgType::kBool && (kind == plan::Expr::kInt || kind == plan::Expr::kNumber)) ||
      (wants_text && (kind == plan::Expr::kInt || kind == plan::Expr::kNumber))) {
    return BadPlan("the value is of another type");
  }
  if (kind == plan::Expr::kText && spec.type == ArgType::kDType) {
    const auto dtype = ParseDType(value.text());
    if (!dtype || *dtype == DType::kAny) return BadPlan(fmt::format("{} is no dtype", QuoteName(value.text())));
  }
  if (kind == plan::Expr::kText && spec.type == ArgType::kWord) {
    if (fmt::format("|{}|", spec.choices).find(fmt::format("|{}|", value.text())) == std::string::npos) {
      return BadPlan(fmt::format("{} is not one of {}", QuoteName(value.text()), spec.choices));
    }
  }
  if (is_list && value.list().items_size() > kMaxOptions) {
    return PlanTooLarge(fmt::format("a list of {} values", value.list().items_size()));
  }
  return names_.Expr(value, scope);
}

Result<void> Validator::Op(const plan::Op& op, const PlanScope& scope) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(op.loc()));
  const OpSpec* spec = FindOp(op.name());
  if (spec == nullptr) return BadPlan(fmt::format("operation {} does not exist in this version", QuoteName(op.name())));
  PlanNameSet given;
  for (const plan::Argument& arg : op.args()) {
    const auto known = std::find_if(spec->args.begin(), spec->args.end(),
                                    [&](const ArgSpec& candidate) { return candidate.name == arg.name(); });
    const std::string where = fmt::format("argument {} of {}", QuoteName(arg.name()), spec->name);
    if (known == spec->args.end() && !spec->named_sizes) return BadPlan(where + ": there is no such argument");
    if (!given.insert(arg.name()).second) return BadPlan(where + ": given twice");
    if (!arg.has_value()) return BadPlan(where + ": without a value");
    static constexpr ArgSpec kNamedSize{"", ArgType::kInt, true, false, "", ""};
    const ArgSpec& expected = known == spec->args.end() ? kNamedSize : *known;
    if (Result<void> result = ArgValue(expected, arg.value(), scope); !result) {
      return std::move(result).error().Context(where);
    }
  }
  for (const ArgSpec& arg : spec->args) {
    if (arg.required && given.count(arg.name) == 0) {
      return BadPlan(fmt::format("{} lacks its argument `{}`", spec->name, arg.name));
    }
  }
  return {};
}

Result<void> Validator::Pipeline(const plan::Pipeline& pipeline, const PlanScope& scope) {
  if (pipeline.terms().empty()) return BadPlan("a side of a rule without a name");
  const auto check_term = [&](const plan::Term& term) -> Result<void> {
    CKMAP_RETURN_IF_ERROR(Shape(term.shape(), scope));
    switch (term.kind_case()) {
      case plan::Term::kPattern:
        if (term.pattern().parts().empty() && term.pattern().regex().empty()) return BadPlan("an empty name");
        return names_.Pattern(term.pattern(), scope);
      case plan::Term::kPipeline:
        return Pipeline(term.pipeline(), scope);
      case plan::Term::KIND_NOT_SET:
        break;
    }
    return BadPlan("an empty term");
  };
  CKMAP_RETURN_IF_ERROR(ForEachItem(pipeline.terms(), "terms", check_term));
  return ForEachItem(pipeline.ops(), "ops", [&](const plan::Op& op) { return Op(op, scope); });
}

Result<void> Validator::Rule(const plan::Rule& rule) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(rule.loc()));
  PlanNameSet captures;
  PlanNameSet dims;
  CKMAP_RETURN_IF_ERROR(Collect(rule.source(), captures, dims, 0));
  CKMAP_RETURN_IF_ERROR(Collect(rule.target(), captures, dims, 0));
  PlanNameSet ranged;
  for (const plan::Range& range : rule.ranges()) {
    if (range.capture().empty() || !ranged.insert(range.capture()).second) {
      return BadPlan(fmt::format("the range of {} is given twice", QuoteName(range.capture())));
    }
    if (!range.has_begin() || !range.has_end()) return BadPlan("a range without its ends");
    captures.insert(range.capture());
  }
  const PlanScope scope{.captures = &captures, .dims = &dims};
  const PlanScope no_captures;
  for (const plan::Range& range : rule.ranges()) {
    CKMAP_RETURN_IF_ERROR(names_.OptionalExpr(true, range.begin(), "where", no_captures));
    CKMAP_RETURN_IF_ERROR(names_.OptionalExpr(true, range.end(), "where", no_captures));
  }
  for (const plan::Term& term : rule.target().terms()) {
    if (!term.has_pattern()) return BadPlan("a target that is no name");
  }
  if (!rule.target().ops().empty()) return BadPlan("an operation on the target's side");
  CKMAP_RETURN_IF_ERROR(Pipeline(rule.source(), scope));
  CKMAP_RETURN_IF_ERROR(Pipeline(rule.target(), scope));
  return names_.OptionalExpr(rule.has_when(), rule.when(), "when", scope);
}

// ---- statements ------------------------------------------------------------

Result<void> Validator::Variable(const plan::Variable& variable) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(variable.loc()));
  if (variable.name().empty()) return BadPlan("a variable without a name");
  if (!variable.is_param() && !variable.has_value()) {
    return BadPlan(fmt::format("`let` {} has no value", QuoteName(variable.name())));
  }
  if (variable.fixed() && !variable.has_value()) {
    return BadPlan(fmt::format("{} is fixed, but to no value", QuoteName(variable.name())));
  }
  CKMAP_RETURN_IF_ERROR(
      names_.OptionalExpr(variable.has_value(), variable.value(), QuoteName(variable.name()), PlanScope{}));
  if (!names_.DefineVariable(variable.name())) {
    return BadPlan(fmt::format("variable {} is defined twice", QuoteName(variable.name())));
  }
  return {};
}

Result<void> Validator::Rename(const plan::Rename& rename) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(rename.loc()));
  if (rename.from().parts().empty()) return BadPlan("a rename of nothing");
  for (const plan::Pattern* side : {&rename.from(), &rename.to()}) {
    for (const plan::Part& part : side->parts()) {
      if (part.has_alternatives() || part.capture().gather()) return BadPlan("a rename that makes a list");
    }
    if (!side->regex().empty()) return BadPlan("a rename with a whole-name regular expression");
  }
  PlanNameSet captures;
  CKMAP_RETURN_IF_ERROR(names_.CollectCaptures(rename.from(), captures));
  const PlanScope scope{.captures = &captures};
  CKMAP_RETURN_IF_ERROR(names_.Pattern(rename.from(), scope));
  for (const plan::Part& part : rename.to().parts()) {
    if (part.has_capture()) captures.insert(part.capture().name());
  }
  return names_.Pattern(rename.to(), scope);
}

Result<void> Validator::Layer(const plan::Layer& layer) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(layer.loc()));
  if (layer.name().empty() || !layers_.insert(layer.name()).second) {
    return BadPlan(fmt::format("layer {} is defined twice", QuoteName(layer.name())));
  }
  CKMAP_RETURN_IF_ERROR(names_.OptionalExpr(layer.has_when(), layer.when(), "when", PlanScope{}));
  CKMAP_RETURN_IF_ERROR(ForEachItem(layer.rules(), "rules", [&](const plan::Rule& rule) { return Rule(rule); }));
  return ForEachItem(layer.drops(), "drops", [&](const plan::Drop& drop) { return Drop(drop); });
}

Result<void> Validator::ModuleIs(const plan::ModuleIs& module) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(module.loc()));
  if (layers_.count(module.layer()) == 0)
    return BadPlan(fmt::format("layer {} is not defined", QuoteName(module.layer())));
  // The root has no name.
  if (module.has_module() && module.module().parts().empty() && module.module().regex().empty()) {
    return names_.OptionalExpr(module.has_when(), module.when(), "when", PlanScope{});
  }
  return names_.NameAndWhen(module.has_module(), module.module(), module.has_when(), module.when());
}

Result<void> Validator::Drop(const plan::Drop& drop) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(drop.loc()));
  CKMAP_RETURN_IF_ERROR(names_.NameAndWhen(drop.has_pattern(), drop.pattern(), drop.has_when(), drop.when()));
  if (!drop.has_equals()) return {};
  if (drop.only()) return BadPlan("`only` with `equals`");
  PlanNameSet captures;
  CKMAP_RETURN_IF_ERROR(names_.CollectCaptures(drop.pattern(), captures));
  return names_.Contents(drop.equals(), PlanScope{.captures = &captures});
}

Result<void> Validator::Init(const plan::Init& init) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(init.loc()));
  const bool constant = init.kind() == plan::Init::CONSTANT;
  const bool normal = init.kind() == plan::Init::NORMAL;
  PlanNameSet given;
  for (const plan::Argument& arg : init.args()) {
    const std::string& name = arg.name();
    const bool known = (constant && name == "value") || (normal && (name == "mean" || name == "std" || name == "seed"));
    if (!known || !given.insert(name).second || !arg.has_value()) {
      return BadPlan(fmt::format("argument {} of init is unknown, twice there or empty", QuoteName(name)));
    }
    CKMAP_RETURN_IF_ERROR(names_.OptionalExpr(true, arg.value(), name, PlanScope{}));
  }
  if (constant && given.empty()) return BadPlan("`constant` without its value");
  return names_.NameAndWhen(init.has_pattern(), init.pattern(), init.has_when(), init.when());
}

Result<void> Validator::Policy(const plan::TargetPolicy& policy) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(policy.loc()));
  const bool allows =
      policy.kind() == plan::TargetPolicy::ALLOW_MISSING || policy.kind() == plan::TargetPolicy::ALLOW_UNUSED;
  if (allows && !policy.has_pattern()) return BadPlan("`allow` without a name");
  const bool decides =
      policy.kind() == plan::TargetPolicy::DECIDE_MISSING || policy.kind() == plan::TargetPolicy::DECIDE_UNUSED;
  if (decides && !policy.has_pattern()) return BadPlan("`decide` without a name");
  if (policy.kind() == plan::TargetPolicy::CAST) {
    for (const std::string* dtype : {&policy.cast_from(), &policy.cast_to()}) {
      const bool may_be_any = dtype == &policy.cast_from();
      if (may_be_any && dtype->empty()) continue;
      const auto parsed = ParseDType(*dtype);
      if (!parsed || (*parsed == DType::kAny && !may_be_any))
        return BadPlan(fmt::format("{} is no dtype", QuoteName(*dtype)));
    }
    const std::string& overflow = policy.overflow();
    if (!overflow.empty() && overflow != "error" && overflow != "saturate" && overflow != "inf") {
      return BadPlan(fmt::format("{} is not one of error, saturate, inf", QuoteName(overflow)));
    }
  }
  return policy.has_pattern() ? names_.NameAndWhen(true, policy.pattern(), false, {}) : Result<void>();
}

Result<void> Validator::Place(const plan::Place& place) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(place.loc()));
  if (!IsDeviceName(place.device())) return BadPlan(fmt::format("{} is no device", QuoteName(place.device())));
  return names_.NameAndWhen(place.has_pattern(), place.pattern(), place.has_when(), place.when());
}

Result<void> Validator::Shard(const plan::Shard& shard) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(shard.loc()));
  if (shard.group().empty()) return BadPlan("a `shard` over no group");
  if (!shard.has_axis()) return BadPlan("a `shard` without its axis");
  CKMAP_RETURN_IF_ERROR(names_.OptionalExpr(true, shard.axis(), "axis", PlanScope{}));
  return names_.NameAndWhen(shard.has_pattern(), shard.pattern(), shard.has_when(), shard.when());
}

Result<void> Validator::Assert(const plan::Assert& assertion) {
  CKMAP_RETURN_IF_ERROR(names_.Loc(assertion.loc()));
  if (!assertion.has_condition()) return BadPlan("an assert without a condition");
  return names_.OptionalExpr(true, assertion.condition(), "assert", PlanScope{});
}

Result<void> Validator::Run() {
  CKMAP_RETURN_IF_ERROR(Header());
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.variables(), "variables", [&](const auto& item) { return Variable(item); }));
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.renames(), "renames", [&](const auto& item) { return Rename(item); }));
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.layers(), "layers", [&](const auto& item) { return Layer(item); }));
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.modules(), "modules", [&](const auto& item) { return ModuleIs(item); }));
  PlanNameSet sources;
  CKMAP_RETURN_IF_ERROR(
      ForEachItem(plan_.named_sources(), "named_sources", [&](const plan::NamedSource& source) -> Result<void> {
        CKMAP_RETURN_IF_ERROR(names_.Loc(source.loc()));
        if (!IsSourceName(source.name())) return BadPlan(fmt::format("{} names no source", QuoteName(source.name())));
        if (!sources.insert(source.name()).second) return BadPlan("a source is named twice");
        return {};
      }));
  if (plan_.reversed() && !plan_.derived().empty()) return BadPlan("derived sources in a plan that runs backwards");
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.derived(), "derived", [&](const auto& item) { return Rule(item); }));
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.rules(), "rules", [&](const auto& item) { return Rule(item); }));
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.drops(), "drops", [&](const auto& item) { return Drop(item); }));
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.inits(), "inits", [&](const auto& item) { return Init(item); }));
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.policies(), "policies", [&](const auto& item) { return Policy(item); }));
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.places(), "places", [&](const auto& item) { return Place(item); }));
  CKMAP_RETURN_IF_ERROR(ForEachItem(plan_.shards(), "shards", [&](const auto& item) { return Shard(item); }));
  return ForEachItem(plan_.asserts(), "asserts", [&](const auto& item) { return Assert(item); });
}

}  // namespace

Result<void> ValidatePlan(const plan::Plan& plan) {
  Result<void> result = Validator(plan).Run();
  if (!result) return std::move(result).error().Context("invalid plan");
  return {};
}

}  // namespace ckmap
