#include "runtime/bind/target_check.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "runtime/bind/candidates.h"
#include "runtime/bind/computed_node.h"
#include "runtime/bind/fill.h"

namespace ckmap {
namespace {

// Searching for near names is quadratic; past this many issues of a kind only the fact is told.
constexpr size_t kMaxExplained = 100;

bool Matches(const std::vector<CompiledName>& patterns, const std::string& name, const Scope& scope) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&](const CompiledName& pattern) {
           Captures captures;
           return pattern.Match(name, scope, captures);
         });
}

Overflow ParseOverflow(const std::string& text) {
  return text == "saturate" ? Overflow::kSaturate : text == "inf" ? Overflow::kInf : Overflow::kError;
}

// In how many parts bitcasts cut the elements of each source tensor; 1: in none.
std::vector<int64_t> PartsOfElements(const BoundPlan& bound) {
  std::vector<int64_t> parts(bound.source.size(), 1);
  for (const BoundTensor& tensor : bound.tensors) {
    ForEachPieced(tensor, [&](const PiecedTensor& part) {
      for (const BoundInput& input : part.inputs) {
        if (input.node != nullptr || input.view == DType::kAny) continue;
        const int64_t ratio = DTypeSize(bound.source[input.source].dtype) / DTypeSize(input.view);
        parts[input.source] = std::max(parts[input.source], ratio);
      }
    });
  }
  return parts;
}

// The same piece where each element is `parts` smaller ones.
Piece InFinerUnits(Piece piece, int64_t parts) {
  if (parts == 1) return piece;
  piece.src_offset *= parts;
  for (PieceAxis& axis : piece.axes) axis.src_stride *= parts;
  piece.axes.push_back({parts, 1, 0});
  return piece;
}

// Whether pieces of one input read all of a tensor of `count` elements in one run.
bool ReadsAll(const Piece& piece, int64_t count) {
  return piece.src_offset == 0 &&
         ((piece.axes.empty() && count == 1) ||
          (piece.axes.size() == 1 && piece.axes[0].src_stride == 1 && piece.axes[0].size == count));
}

}  // namespace

void TargetCheck::Add(std::string code, std::string tensor, std::string message, std::vector<std::string> notes,
                      std::string help) {
  issues_.push_back({std::move(code), IssueSeverity::kError, std::move(tensor), std::move(message),
                     std::move(notes), std::move(help)});
}

std::string TargetCheck::RuleNote(const RuleInstance& instance) const {
  if (instance.rule == nullptr) return fmt::format("it comes from the source as it is ({})", instance.passed);
  return fmt::format("the rule is {}: {}", context_.Where(instance.rule->loc()), instance.rule->text());
}

Result<void> TargetCheck::ReadPolicies() {
  for (const plan::TargetPolicy& policy : context_.plan.policies()) {
    Policy entry{&policy, {}};
    if (policy.has_pattern()) {
      const bool source_side = policy.kind() == plan::TargetPolicy::ALLOW_UNUSED;
      for (const std::vector<size_t>& choices : AllChoices(policy.pattern())) {
        CKMAP_ASSIGN_OR_RETURN(
            CompiledName pattern,
            CompiledName::Compile(Choose(policy.pattern(), choices),
                                 {source_side ? context_.source_separator : context_.target_separator,
                                  context_.variables}));
        entry.patterns.push_back(std::move(pattern));
      }
    }
    policies_.push_back(std::move(entry));
  }
  std::stable_sort(policies_.begin(), policies_.end(), [&](const Policy& a, const Policy& b) {
    const uint32_t left = context_.Level(a.policy->loc()), right = context_.Level(b.policy->loc());
    return left != right ? left < right : !a.patterns.empty() && b.patterns.empty();  // what names tensors goes first
  });
  return {};
}

Result<void> TargetCheck::ReadInits() {
  for (const plan::Init& init : context_.plan.inits()) {
    for (const std::vector<size_t>& choices : AllChoices(init.pattern())) {
      CKMAP_ASSIGN_OR_RETURN(CompiledName pattern,
                             CompiledName::Compile(Choose(init.pattern(), choices),
                                                  {context_.target_separator, context_.variables}));
      inits_.emplace_back(&init, std::move(pattern));
    }
  }
  std::stable_sort(inits_.begin(), inits_.end(), [&](const auto& a, const auto& b) {
    const uint32_t left = context_.Level(a.first->loc()), right = context_.Level(b.first->loc());
    return left != right ? left < right : LiteralSize(a.first->pattern()) > LiteralSize(b.first->pattern());
  });
  return {};
}

const plan::TargetPolicy* TargetCheck::Allowed(plan::TargetPolicy::Kind kind, const std::string& name) const {
  for (const Policy& entry : policies_) {
    if (entry.policy->kind() == kind && Matches(entry.patterns, name, context_.variables)) return entry.policy;
  }
  return nullptr;
}

void TargetCheck::CollectClaims(std::vector<RuleInstance>& instances) {
  claims_.resize(bound_.target.size());
  failed_.resize(bound_.target.size(), false);
  for (RuleInstance& instance : instances) {
    for (const Issue& issue : instance.issues) issues_.push_back(issue);
    if (!instance.issues.empty()) {
      for (const size_t target : instance.missed) failed_[target] = true;
      continue;
    }
    for (size_t i = 0; i < instance.writes.size(); ++i) {
      const size_t target = instance.writes[i].target;
      if (target == RuleInstance::kNoTarget) continue;
      if (claims_[target].instance == nullptr) {
        claims_[target] = {&instance, i};
      } else {
        rivals_[target].push_back({&instance, i});
      }
    }
  }
}

Result<void> TargetCheck::Run(std::vector<RuleInstance>& instances) {
  CKMAP_RETURN_IF_ERROR(ReadPolicies());
  CKMAP_RETURN_IF_ERROR(ReadInits());
  CollectClaims(instances);
  // What is left over on both sides is needed before the first of it is reported.
  std::vector<bool> used(bound_.source.size(), false);
  for (const RuleInstance& instance : instances) {
    for (const size_t source : instance.sources) used[source] = true;
  }
  for (const DroppedTensor& dropped : bound_.dropped) used[dropped.source] = true;
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) unused_sources_.push_back(i);
  }
  for (size_t i = 0; i < bound_.target.size(); ++i) {
    if (claims_[i].instance == nullptr) unwritten_targets_.push_back(i);
  }
  bound_.tensors.reserve(bound_.target.size() - unwritten_targets_.size());
  for (size_t i = 0; i < bound_.target.size(); ++i) CKMAP_RETURN_IF_ERROR(CheckTarget(i));
  // After all targets, since a tied one may follow what it is tied to.
  for (size_t i = 0; i < missing_.size(); ++i) ReportMissing(missing_[i]);
  ReportUnknownTargets(instances);
  CheckSources(instances);
  CheckUnread();
  lint_.Report(issues_);
  return {};
}

void TargetCheck::ReportUnknownTargets(std::vector<RuleInstance>& instances) {
  for (RuleInstance& instance : instances) {
    for (RuleInstance::Write& write : instance.writes) {
      if (write.target != RuleInstance::kNoTarget) continue;
      TensorInfo wanted;
      wanted.name = write.name;
      const TensorValue& value = ValueOf(context_, instance, write);
      wanted.dtype = value.dtype;
      wanted.shape = value.value.shape;
      std::vector<std::string> notes = {RuleNote(instance)};
      for (std::string& near : NearestNames(wanted, bound_.target, unwritten_targets_)) {
        notes.push_back("the target has " + near);
      }
      Add("CK1206", write.name, fmt::format("the target has no `{}`, which a rule would write", write.name),
          std::move(notes), "correct the right side of the rule, or give it a `when target_has(…)`");
    }
  }
}

Result<void> TargetCheck::CheckTarget(size_t index) {
  if (claims_[index].instance == nullptr) {
    CKMAP_ASSIGN_OR_RETURN(const bool done, Initialize(index));
    if (!done) missing_.push_back(index);
    return {};
  }
  if (const auto rivals = rivals_.find(index); rivals != rivals_.end()) {
    std::vector<Claim> all = rivals->second;
    all.insert(all.begin(), claims_[index]);
    ReportDuplicate(index, std::move(all));
    return {};
  }
  return BindClaim(index, claims_[index]);
}

Result<void> TargetCheck::BindClaim(size_t index, const Claim& claim) {
  const TensorInfo& target = bound_.target[index];
  RuleInstance& instance = *claim.instance;
  TensorValue& tensor = ValueOf(context_, instance, instance.writes[claim.write]);
  BoundTensor bound;
  bound.target = index;
  bound.name = target.name;
  bound.ops = instance.ops;
  const bool shape_fits = FitShape(target, claim, bound.shape);
  const bool dtype_fits = FitDType(target, claim, tensor, bound.ops);
  if (!shape_fits || !dtype_fits) return {};
  std::set<size_t> unreadable;
  ForEachSource(tensor, [&](size_t source) {
    if (!bound_.source[source].unreadable.empty()) unreadable.insert(source);
  });
  for (const size_t refused : unreadable) {
    const TensorInfo& source = bound_.source[refused];
    Add("CK1215", source.name, fmt::format("`{}` is needed but cannot be read: {}", source.name, source.unreadable),
        {RuleNote(instance)}, "drop it, or convert it with the framework that wrote it first");
  }
  if (!unreadable.empty()) return {};
  bound.rule = instance.rule != nullptr ? context_.Where(instance.rule->loc()) : instance.passed;
  static_cast<PiecedTensor&>(bound) = std::move(tensor);
  bound.value.shape = bound.shape;
  const Result<void> tiling = CheckTiling(bound.value);
  if (!tiling && tiling.error().code() != ErrorCode::kMismatch) return tiling.error();
  if (!tiling) {
    Add("CK1213", target.name, fmt::format("`{}` is not written whole: {}", target.name, tiling.error().message()),
        {RuleNote(instance)}, "correct the operations of the rule");
    return {};
  }
  lint_.Look(context_, instance, bound);
  bound_.tensors.push_back(std::move(bound));
  instance.writes[claim.write].tensor.reset();  // moved from; a million of them count
  return {};
}

bool TargetCheck::FitShape(const TensorInfo& target, const Claim& claim, Shape& shape) {
  const RuleInstance& instance = *claim.instance;
  const TensorValue& tensor = *instance.writes[claim.write].tensor;
  shape = tensor.value.shape;
  bool fits = shape.size() == target.shape.size(), inferred = false;
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    inferred = inferred || target.shape[i] == -1;
    fits = target.shape[i] == -1 || target.shape[i] == shape[i];
  }
  if (fits) {
    if (inferred) {
      issues_.push_back({"CK1221", IssueSeverity::kNote, target.name,
                         fmt::format("`{}`: {} was inferred for {}", target.name, FormatShape(shape),
                                     FormatShape(target.shape)), {}, ""});
    }
    return true;
  }
  std::vector<std::string> notes;
  for (const size_t source : instance.sources) notes.push_back("from " + DescribeTensor(bound_.source[source]));
  notes.push_back(RuleNote(instance));
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
  return false;
}

bool TargetCheck::FitDType(const TensorInfo& target, const Claim& claim, TensorValue& tensor,
                           std::vector<std::string>& ops) {
  if (target.dtype == DType::kAny || target.dtype == tensor.dtype) return true;
  const std::string_view from = DTypeName(tensor.dtype), to = DTypeName(target.dtype);
  for (const Policy& entry : policies_) {
    const plan::TargetPolicy& policy = *entry.policy;
    if (policy.kind() != plan::TargetPolicy::CAST) continue;
    if (!policy.cast_from().empty() && policy.cast_from() != "any" && policy.cast_from() != from) continue;
    if (!policy.cast_to().empty() && policy.cast_to() != "any" && policy.cast_to() != to) continue;
    if (!Matches(entry.patterns, target.name, context_.variables)) continue;
    if (Result<void> fill = CastFill(tensor.fill, tensor.dtype, target.dtype); !fill) {
      Add("CK1204", target.name, fmt::format("`{}`: {}", target.name, fill.error().message()), {RuleNote(*claim.instance)},
          "pad with another number");
      return false;
    }
    for (BoundInput& input : tensor.inputs) {
      input.casts.push_back({tensor.dtype, target.dtype, ParseOverflow(policy.overflow())});
    }
    tensor.dtype = target.dtype;
    ops.push_back(fmt::format("cast({})", to));
    return true;
  }
  Add("CK1204", target.name, fmt::format("`{}`: the target's dtype is {}, the rule gives {}", target.name, to, from),
      {RuleNote(*claim.instance)},
      fmt::format("allow the conversion: target {{ cast {} -> {}; }}", from, to));
  return false;
}

void TargetCheck::ReportMissing(size_t index) {
  const TensorInfo& target = bound_.target[index];
  const auto tied = target.tied_to.empty() ? std::nullopt : bound_.target.Find(target.tied_to);
  if (tied && claims_[*tied].instance != nullptr) {
    bound_.kept.push_back({target.name, fmt::format("tied to `{}`", target.tied_to)});
    return;
  }
  if (const plan::TargetPolicy* allowed = Allowed(plan::TargetPolicy::ALLOW_MISSING, target.name)) {
    bound_.kept.push_back({target.name, context_.Where(allowed->loc())});
    return;
  }
  if (target.optional) {
    bound_.kept.push_back({target.name, "optional in the target"});
    return;
  }
  if (failed_[index]) return;  // its rule was reported
  std::vector<std::string> notes;
  const auto explained = std::count_if(issues_.begin(), issues_.end(), [](const Issue& i) { return i.code == "CK1201"; });
  if (static_cast<size_t>(explained) < kMaxExplained) {
    for (const plan::Rule& rule : context_.plan.rules()) {
      for (const plan::Term& term : rule.target().terms()) {
        for (const std::vector<size_t>& choices : AllChoices(term.pattern())) {
          const auto pattern = CompiledName::Compile(Choose(term.pattern(), choices),
                                                    {context_.target_separator, context_.variables});
          Captures captures;
          if (!pattern || !pattern->Match(target.name, context_.variables, captures) || notes.size() > 2) continue;
          notes.push_back(fmt::format("the rule at {} would write it, but it does not apply, for what it needs is not in the source, or its `when` does not hold: {}",
                                      context_.Where(rule.loc()), rule.text()));
        }
      }
    }
    for (std::string& near : NearestNames(target, bound_.source, unused_sources_)) {
      notes.push_back("not used so far: " + near);
    }
  }
  Add("CK1201", target.name, fmt::format("nothing writes {}", DescribeTensor(target)), std::move(notes),
      "add a rule or rename for it, or: init \"…\" = keep; target { allow missing \"…\"; }");
}

void TargetCheck::ReportDuplicate(size_t index, std::vector<Claim> claims) {
  const TensorInfo& target = bound_.target[index];
  std::vector<std::string> notes;
  for (const Claim& claim : claims) {
    std::string sources;
    for (const size_t source : claim.instance->sources) {
      sources += (sources.empty() ? "" : ", ") + fmt::format("`{}`", bound_.source[source].name);
    }
    notes.push_back(fmt::format("from {}: {}", sources, RuleNote(*claim.instance)));
  }
  Add("CK1205", target.name, fmt::format("`{}` is written {} times", target.name, claims.size()), std::move(notes),
      "each target tensor has one rule: drop one source, give one rule a `when`, or say `override`");
}

void TargetCheck::CheckSources(const std::vector<RuleInstance>& /*instances*/) {
  for (const size_t source : unused_sources_) {
    const std::string& name = bound_.source[source].name;
    if (const plan::TargetPolicy* allowed = Allowed(plan::TargetPolicy::ALLOW_UNUSED, name)) {
      bound_.dropped.push_back({source, name, context_.Where(allowed->loc())});
    } else if (bound_.source[source].optional) {
      bound_.dropped.push_back({source, name, "optional in the source"});
    } else {
      ReportUnused(source);
    }
  }
}

void TargetCheck::ReportUnused(size_t source) {
  const TensorInfo& info = bound_.source[source];
  std::vector<std::string> notes;
  const auto explained = std::count_if(issues_.begin(), issues_.end(), [](const Issue& i) { return i.code == "CK1202"; });
  if (static_cast<size_t>(explained) < kMaxExplained) {
    const auto renamed = context_.renamer.Apply(info.name);
    if (renamed && *renamed != info.name) notes.push_back(fmt::format("the renames make it `{}`, which the target lacks", *renamed));
    for (std::string& near : NearestNames(info, bound_.target, missing_)) notes.push_back("not written so far: " + near);
    for (size_t i = 0; info.storage >= 0 && i < bound_.source.size(); ++i) {
      if (i == source || bound_.source[i].storage != info.storage) continue;
      notes.push_back(fmt::format("it shares its bytes with `{}`", bound_.source[i].name));
      break;
    }
  }
  Add("CK1202", info.name, fmt::format("nothing uses {}", DescribeTensor(info)), std::move(notes),
      "add a rule or rename for it, or: drop \"…\";");
}

void TargetCheck::CheckUnread() {
  std::vector<bool> whole(bound_.source.size(), false);
  const std::vector<int64_t> parts = PartsOfElements(bound_);
  // Calls visit(source, piece) for all that is read, by computed nodes too. Pieces count `parts` of the source's elements.
  const auto for_each_read = [&](const auto& visit) {
    for (const BoundTensor& tensor : bound_.tensors) {
      ForEachPieced(tensor, [&](const PiecedTensor& part) {
        for (const Piece& piece : part.value.pieces) {
          if (piece.input == kFillInput) continue;
          const BoundInput& input = part.inputs[static_cast<size_t>(piece.input)];
          if (input.node != nullptr) continue;
          const DType dtype = bound_.source[input.source].dtype;
          const int64_t units = parts[input.source];
          visit(input.source, InFinerUnits(piece, input.view == DType::kAny ? units : units * DTypeSize(input.view) / DTypeSize(dtype)));
        }
      });
    }
  };
  for_each_read([&](size_t source, const Piece& piece) {
    if (ReadsAll(piece, NumElements(bound_.source[source].shape).value_or(-1) * parts[source])) whole[source] = true;
  });
  std::unordered_map<size_t, std::vector<Piece>> partial;
  for_each_read([&](size_t source, const Piece& piece) {
    if (!whole[source]) partial[source].push_back(piece);
  });
  for (size_t source = 0; source < bound_.source.size(); ++source) {
    const auto found = partial.find(source);
    if (found == partial.end()) continue;
    const TensorInfo& info = bound_.source[source];
    Shape shape = info.shape;
    if (parts[source] > 1) shape.back() *= parts[source];
    const std::string unread = DescribeUnread(found->second, shape);
    if (unread.empty() || Allowed(plan::TargetPolicy::ALLOW_UNUSED, info.name) != nullptr) continue;
    Add("CK1214", info.name, fmt::format("{} of {} are read by no rule", unread, DescribeTensor(info)), {},
        "use them, or: target { allow unused \"…\"; }");
  }
}

}  // namespace ckmap
