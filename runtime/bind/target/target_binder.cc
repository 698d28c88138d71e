#include "runtime/bind/target/target_binder.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "runtime/bind/computed_node.h"
#include "runtime/bind/explain/candidates.h"
#include "runtime/bind/values/fill.h"

namespace ckmap {
namespace {

bool Matches(const std::vector<CompiledName>& patterns, const std::string& name, const Scope& scope) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&](const CompiledName& pattern) {
           Captures captures;
           return pattern.Match(name, scope, captures);
         });
}

Overflow ParseOverflow(const std::string& text) {
  return text == "saturate" ? Overflow::kSaturate : text == "inf" ? Overflow::kInf : Overflow::kError;
}

std::shared_ptr<const IssueFacts> FactsOf(const BindContext& context, const RuleInstance& instance, const Shape& given,
                                          const Shape& wanted) {
  auto facts = std::make_shared<IssueFacts>();
  facts->given = given;
  facts->wanted = wanted;
  facts->sources = context.visible.FilesOf(instance.sources);
  if (instance.rule != nullptr) {
    facts->file = instance.rule->loc().file();
    facts->line = instance.rule->loc().line();
    facts->column = instance.rule->loc().column();
  }
  return facts;
}

}  // namespace

Result<TargetStatements> TargetStatements::Read(const BindContext& context) {
  TargetStatements statements;
  for (const plan::TargetPolicy& policy : context.plan.policies()) {
    Policy entry{&policy, {}};
    if (policy.has_pattern()) {
      const bool source_side =
          policy.kind() == plan::TargetPolicy::ALLOW_UNUSED || policy.kind() == plan::TargetPolicy::DECIDE_UNUSED;
      for (const std::vector<size_t>& choices : AllChoices(policy.pattern())) {
        CKMAP_ASSIGN_OR_RETURN(
            CompiledName pattern,
            CompiledName::Compile(Choose(policy.pattern(), choices),
                                  {.separator = source_side ? context.source_separator : context.target_separator,
                                   .scope = context.variables,
                                   .spaces = source_side ? &context.visible.spaces() : nullptr}));
        entry.patterns.push_back(std::move(pattern));
      }
    }
    statements.policies.push_back(std::move(entry));
  }
  std::stable_sort(statements.policies.begin(), statements.policies.end(), [&](const Policy& a, const Policy& b) {
    const uint32_t left = context.Level(a.policy->loc()), right = context.Level(b.policy->loc());
    return left != right ? left < right : !a.patterns.empty() && b.patterns.empty();  // what names tensors goes first
  });
  for (const plan::Init& init : context.plan.inits()) {
    for (const std::vector<size_t>& choices : AllChoices(init.pattern())) {
      CKMAP_ASSIGN_OR_RETURN(
          CompiledName pattern,
          CompiledName::Compile(Choose(init.pattern(), choices), {context.target_separator, context.variables}));
      statements.inits.emplace_back(&init, std::move(pattern));
    }
  }
  std::stable_sort(statements.inits.begin(), statements.inits.end(), [&](const auto& a, const auto& b) {
    const uint32_t left = context.Level(a.first->loc()), right = context.Level(b.first->loc());
    return left != right ? left < right : LiteralSize(a.first->pattern()) > LiteralSize(b.first->pattern());
  });
  return statements;
}

const plan::TargetPolicy* TargetStatements::Allowed(const BindContext& context, plan::TargetPolicy::Kind kind,
                                                    const std::string& name) const {
  for (const Policy& entry : policies) {
    const bool decides =
        (kind == plan::TargetPolicy::ALLOW_MISSING && entry.policy->kind() == plan::TargetPolicy::DECIDE_MISSING) ||
        (kind == plan::TargetPolicy::ALLOW_UNUSED && entry.policy->kind() == plan::TargetPolicy::DECIDE_UNUSED);
    if ((entry.policy->kind() == kind || decides) && Matches(entry.patterns, name, context.variables))
      return entry.policy;
  }
  return nullptr;
}

bool ReadsAll(const Piece& piece, int64_t count) {
  return piece.src_offset == 0 &&
         ((piece.axes.empty() && count == 1) ||
          (piece.axes.size() == 1 && piece.axes[0].src_stride == 1 && piece.axes[0].size == count));
}

std::string RuleNote(const BindContext& context, const RuleInstance& instance) {
  if (instance.rule == nullptr) return fmt::format("it comes from the source as it is ({})", instance.passed);
  return fmt::format("the rule is {}: {}", context.Where(instance.rule->loc()), instance.rule->text());
}

void TargetBinder::Add(std::string code, std::string tensor, std::string message, std::vector<std::string> notes,
                       std::string help) {
  part_.issues.push_back({std::move(code), IssueSeverity::kError, std::move(tensor), std::move(message),
                          std::move(notes), std::move(help)});
}

Result<void> TargetBinder::Bind(size_t index) {
  CKMAP_ASSIGN_OR_RETURN(const bool made, Make(index, part_.tensors.emplace_back()));
  if (!made) part_.tensors.pop_back();
  return {};
}

Result<bool> TargetBinder::Make(size_t index, BoundTensor& bound) {
  if (claims_.first[index].instance == nullptr) return Initialize(index, bound);
  if (const auto rivals = claims_.rivals.find(index); rivals != claims_.rivals.end()) {
    std::vector<Claim> all = rivals->second;
    all.insert(all.begin(), claims_.first[index]);
    ReportDuplicate(index, std::move(all));
    return false;
  }
  return BindClaim(index, claims_.first[index], bound);
}

Result<bool> TargetBinder::BindClaim(size_t index, const Claim& claim, BoundTensor& bound) {
  const TensorInfo& target = context_.target[index];
  RuleInstance& instance = *claim.instance;
  static_cast<PiecedTensor&>(bound) = TakeValue(context_, instance, instance.writes[claim.write]);
  bound.target = index;
  bound.name = target.name;
  bound.ops = instance.writes.size() == 1 ? std::move(instance.ops) : instance.ops;
  const bool shape_fits = FitShape(target, claim, bound);
  const bool dtype_fits = FitDType(target, claim, bound);
  if (!shape_fits || !dtype_fits || !Readable(instance, bound)) return false;
  const Result<void> tiling = CheckTiling(bound.value);
  if (!tiling && tiling.error().code() != ErrorCode::kMismatch) return tiling.error();
  if (!tiling) {
    Add("CK1213", target.name, fmt::format("`{}` is not written whole: {}", target.name, tiling.error().message()),
        {RuleNote(context_, instance)}, "correct the operations of the rule");
    return false;
  }
  NoteRule(instance, bound);
  NoteReading(bound);
  instance.writes[claim.write].value.reset();  // moved from; a million of them count
  return true;
}

void TargetBinder::NoteRule(const RuleInstance& instance, BoundTensor& bound) {
  if (instance.rule == nullptr) {
    bound.rule = instance.passed;
    return;
  }
  const auto [use, made] = part_.rules.try_emplace(instance.rule);
  if (made) use->second = context_.Where(instance.rule->loc());
  bound.rule = use->second;
}

void TargetBinder::NoteReading(const BoundTensor& bound) {
  if (bound.inputs.size() == 1 && bound.value.pieces.size() == 1) {
    const BoundInput& input = bound.inputs[0];
    if (input.node == nullptr && input.view == DType::kAny &&
        ReadsAll(bound.value.pieces[0], NumElements(context_.visible.files()[input.source].shape).value_or(-1))) {
      return part_.whole.push_back(input.source);
    }
  }
  part_.partial.push_back(bound.target);
}

bool TargetBinder::Readable(const RuleInstance& instance, const PiecedTensor& tensor) {
  std::set<size_t> unreadable;
  ForEachSource(tensor, [&](size_t source) {
    if (!context_.visible.files()[source].unreadable.empty()) unreadable.insert(source);
  });
  for (const size_t refused : unreadable) {
    const TensorInfo& source = context_.visible.files()[refused];
    Add("CK1215", source.name, fmt::format("`{}` is needed but cannot be read: {}", source.name, source.unreadable),
        {RuleNote(context_, instance)}, "drop it, or convert it with the framework that wrote it first");
  }
  return unreadable.empty();
}

bool TargetBinder::FitShape(const TensorInfo& target, const Claim& claim, BoundTensor& bound) {
  const RuleInstance& instance = *claim.instance;
  const Shape& shape = bound.shape = bound.value.shape;
  bool fits = shape.size() == target.shape.size(), inferred = false;
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    inferred = inferred || target.shape[i] == -1;
    fits = target.shape[i] == -1 || target.shape[i] == shape[i];
  }
  if (fits) {
    if (inferred) {
      part_.issues.push_back(
          {"CK1221",
           IssueSeverity::kNote,
           target.name,
           fmt::format("`{}`: {} was inferred for {}", target.name, FormatShape(shape), FormatShape(target.shape)),
           {},
           ""});
    }
    return true;
  }
  std::vector<std::string> notes;
  for (const size_t source : instance.sources) notes.push_back("from " + DescribeTensor(context_.source[source]));
  notes.push_back(RuleNote(context_, instance));
  Shape sorted = shape, wanted = target.shape;
  std::sort(sorted.begin(), sorted.end());
  std::sort(wanted.begin(), wanted.end());
  std::string help = "correct the shape of one side";
  if (sorted == wanted) {
    help = "the sizes are the same in another order: a permute may be missing, or one too many";
  } else if (NumElements(shape) == NumElements(target.shape)) {
    help = "the number of elements is the same: a reshape may be missing";
  }
  Add("CK1203", target.name,
      fmt::format("`{}`: the target's shape is {}, the rule gives {}", target.name, FormatShape(target.shape),
                  FormatShape(shape)),
      std::move(notes), std::move(help));
  part_.issues.back().facts = FactsOf(context_, instance, shape, target.shape);
  return false;
}

bool TargetBinder::FitDType(const TensorInfo& target, const Claim& claim, BoundTensor& tensor) {
  if (target.dtype == DType::kAny || target.dtype == tensor.dtype) return true;
  const std::string_view from = DTypeName(tensor.dtype), to = DTypeName(target.dtype);
  for (const TargetStatements::Policy& entry : statements_.policies) {
    const plan::TargetPolicy& policy = *entry.policy;
    if (policy.kind() != plan::TargetPolicy::CAST) continue;
    if (!policy.cast_from().empty() && policy.cast_from() != "any" && policy.cast_from() != from) continue;
    if (!policy.cast_to().empty() && policy.cast_to() != "any" && policy.cast_to() != to) continue;
    if (!Matches(entry.patterns, target.name, context_.variables)) continue;
    const CastOp cast{tensor.dtype, target.dtype, ParseOverflow(policy.overflow())};
    if (Result<void> fill = ApplyToFill(cast, tensor); !fill) {
      Add("CK1204", target.name, fmt::format("`{}`: {}", target.name, fill.error().message()),
          {RuleNote(context_, *claim.instance)}, "pad with another number");
      return false;
    }
    for (BoundInput& input : tensor.inputs) input.casts.push_back(cast);
    tensor.dtype = target.dtype;
    tensor.ops.push_back(fmt::format("cast({})", to));
    return true;
  }
  Add("CK1204", target.name, fmt::format("`{}`: the target's dtype is {}, the rule gives {}", target.name, to, from),
      {RuleNote(context_, *claim.instance)},
      fmt::format("allow the conversion: target {{ cast {} -> {}; }}", from, to));
  auto facts = std::make_shared<IssueFacts>(*FactsOf(context_, *claim.instance, tensor.value.shape, target.shape));
  facts->given_dtype = tensor.dtype;
  facts->wanted_dtype = target.dtype;
  part_.issues.back().facts = std::move(facts);
  return false;
}

void TargetBinder::ReportDuplicate(size_t index, std::vector<Claim> claims) {
  const TensorInfo& target = context_.target[index];
  std::vector<std::string> notes;
  for (const Claim& claim : claims) {
    std::string sources;
    for (const size_t source : claim.instance->sources) {
      sources += (sources.empty() ? "" : ", ") + fmt::format("`{}`", context_.source[source].name);
    }
    notes.push_back(fmt::format("from {}: {}", sources, RuleNote(context_, *claim.instance)));
  }
  Add("CK1205", target.name, fmt::format("`{}` is written {} times", target.name, claims.size()), std::move(notes),
      "each target tensor has one rule: drop one source, give one rule a `when`, or say `override`");
}

}  // namespace ckmap
