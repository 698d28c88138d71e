// The order of events: parameters; applications of rules and layers; drops; who wins where files
// overrule each other; what nobody claims keeps its (renamed) name; then each target tensor is
// checked against what claims it, and what is left over on either side is reported.
#include "runtime/bind/bind.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/bind/computed_node.h"
#include "runtime/bind/explain/candidates.h"
#include "runtime/bind/reverse.h"
#include "runtime/bind/rules/derived_sources.h"
#include "runtime/bind/rules/layer_binder.h"
#include "runtime/bind/rules/rule_binder.h"
#include "runtime/bind/rules/unmatched.h"
#include "runtime/bind/target/contents.h"
#include "runtime/bind/target/placement.h"
#include "runtime/bind/target/target_check.h"
#include "runtime/bind/target/tied.h"
#include "runtime/tensor/open_sizes.h"

namespace ckmap {
namespace {

// Lower wins. A file overrides the packs it uses; in one file a rule or drop names its tensors, and
// so is more specific than a layer; `override` goes first of all.
int RulePriority(const BindContext& context, const plan::Rule& rule, bool in_layer) {
  const plan::Location& loc = rule.loc();
  return static_cast<int>(context.Level(loc)) * 4 + (in_layer ? 2 : 1) - (rule.overrides() ? 1 : 0);
}

bool BeforeInReport(const Issue& a, const Issue& b) {
  return a.severity != b.severity ? a.severity < b.severity : a.code < b.code;
}

struct DropClaim {
  size_t source;
  int priority;  // -1: of `only`
  std::string where;
  const plan::Drop* drop = nullptr;  // null: of `only`
  NamePrefix prefix = {};            // of the drop's names
  Captures captures = {};
};

class Binder {
 public:
  Binder(const Plan& plan, Manifest source, Manifest target, BoundVariables variables)
      : proto_(plan.proto()), variables_(std::move(variables)) {
    bound_.source = std::move(source);
    bound_.target = std::move(target);
    bound_.plan_digest = plan.digest();
  }

  Result<BindResult> Run(const PlacementOptions& placement, const SourceFacts& facts, bool remarks) {
    CheckNamedSources(facts);
    if (!issues_.empty()) return Finish();
    CKMAP_ASSIGN_OR_RETURN(const Renamer renamer, Renamer::Create(proto_, variables_, bound_.target));
    CKMAP_RETURN_IF_ERROR(See(facts, renamer));
    if (!issues_.empty()) return Finish();  // what the other rules would find is not known
    const BindContext context(proto_, *visible_, bound_.target, variables_, renamer);
    UnmatchedStatements unmatched(context);
    CKMAP_RETURN_IF_ERROR(ApplyStatements(context, unmatched));
    CKMAP_ASSIGN_OR_RETURN(const std::vector<size_t> left_over, PassThrough(unmatched));
    MatchSuffixes(left_over);
    // Of a plan that runs backwards the other side's statements are looked at.
    if (!proto_.reversed()) CKMAP_RETURN_IF_ERROR(unmatched.Report(issues_));
    TargetCheck check(context, bound_, issues_);
    CKMAP_RETURN_IF_ERROR(check.Run(instances_));
    if (remarks) check.Lint();
    CheckTied(bound_, issues_);
    NameFilesOfDropped();
    if (!proto_.reversed()) CKMAP_RETURN_IF_ERROR(ApplyPlacement(context, placement, bound_, issues_));
    FillReport();
    return Finish();
  }

  // The target that the statements give, of a Binder whose target is empty.
  Result<TargetDescription> Describe(const SourceFacts& facts) {
    CheckNamedSources(facts);
    CKMAP_ASSIGN_OR_RETURN(const Renamer renamer, Renamer::Create(proto_, variables_, bound_.target));
    CKMAP_RETURN_IF_ERROR(See(facts, renamer));
    if (!issues_.empty()) return TargetDescription{.target = std::nullopt, .issues = std::move(issues_)};
    const BindContext context(proto_, *visible_, bound_.target, variables_, renamer);
    UnmatchedStatements unmatched(context);
    CKMAP_RETURN_IF_ERROR(ApplyStatements(context, unmatched));
    TargetDescription description;
    Manifest& target = description.target.emplace();
    target.framework = proto_.to_framework();
    for (RuleInstance& instance : instances_) {
      for (Issue& issue : instance.issues) issues_.push_back(std::move(issue));
      for (const RuleInstance::Write& write : instance.writes) {
        PiecedTensor value = TakeValue(context, instance, write);
        target.Add({.name = write.name, .dtype = value.dtype, .shape = value.value.shape});
      }
    }
    CKMAP_ASSIGN_OR_RETURN(const std::vector<size_t> left_over, PassThrough(unmatched));
    CKMAP_ASSIGN_OR_RETURN(const TargetStatements statements, TargetStatements::Read(context));
    for (const size_t source : left_over) {
      if (statements.Allowed(context, plan::TargetPolicy::ALLOW_UNUSED, context.source[source].name) != nullptr)
        continue;
      CKMAP_ASSIGN_OR_RETURN(const Renamed renamed, renamer.Apply(context.source[source].name));
      target.Add({.name = renamed.name, .dtype = context.source[source].dtype, .shape = context.source[source].shape});
    }
    CKMAP_RETURN_IF_ERROR(unmatched.Report(issues_));
    std::stable_sort(issues_.begin(), issues_.end(), BeforeInReport);
    if (!issues_.empty() && issues_.front().severity == IssueSeverity::kError) description.target.reset();
    description.issues = std::move(issues_);
    return description;
  }

 private:
  // Makes the derived sources.
  Result<void> See(const SourceFacts& facts, const Renamer& renamer) {
    visible_ = std::make_unique<VisibleSource>(bound_.source, facts);
    return DeriveSources(proto_, bound_.target, variables_, renamer, *visible_, issues_);
  }

  // All that rules, layers and drops claim, and who wins. `context` outlives the run.
  Result<void> ApplyStatements(const BindContext& context, UnmatchedStatements& unmatched) {
    context_ = &context;
    CheckAsserts();
    CKMAP_RETURN_IF_ERROR(CollectDrops());
    CKMAP_ASSIGN_OR_RETURN(instances_, BindRules(context, RulesOf(proto_), issues_));
    for (const RuleInstance& instance : instances_) unmatched.Applied(instance.rule);
    CKMAP_ASSIGN_OR_RETURN(LayerBindings layers, BindLayers(context, issues_));
    for (RuleInstance& instance : layers.instances) instances_.push_back(std::move(instance));
    for (const LayerDrop& drop : layers.drops) {
      drops_.push_back({drop.source,
                        static_cast<int>(context.Level(drop.layer->loc())) * 4 + 2,
                        context.Where(drop.drop->loc()),
                        drop.drop,
                        drop.prefix,
                        {}});
    }
    Overrule();
    return ApplyDrops();
  }

  // What the rules name and what the run gives are the same.
  void CheckNamedSources(const SourceFacts& facts) {
    const auto add = [&](std::string message, std::vector<std::string> notes, std::string help) {
      issues_.push_back({"CK1228", IssueSeverity::kError, "", std::move(message), std::move(notes), std::move(help)});
    };
    std::set<std::string> known;
    for (const plan::NamedSource& source : proto_.named_sources()) {
      known.insert(source.name());
      if (source.optional() || std::count(facts.spaces.begin(), facts.spaces.end(), source.name()) > 0) continue;
      add(fmt::format("the rules read the source `{}`, which is not given", source.name()),
          {fmt::format("it is declared at {}:{}", proto_.files(static_cast<int>(source.loc().file())).name(),
                       source.loc().line())},
          fmt::format("--source {}=FILE", source.name()));
    }
    for (const std::string& space : facts.spaces) {
      if (known.contains(space)) continue;
      add(fmt::format("the rules do not name the source `{}`, which is given", space), {},
          fmt::format("declare it: source {};", space));
    }
  }

  void CheckAsserts() {
    const Captures none;
    const NamePrefix prefix;
    for (const plan::Assert& statement : proto_.asserts()) {
      const auto holds = EvaluateBool(statement.condition(), ApplicationScope(*context_, prefix, none));
      if (holds && *holds) continue;
      const std::string why = holds ? "does not hold" : "cannot be decided: " + holds.error().message();
      issues_.push_back({"CK1217",
                         IssueSeverity::kError,
                         "",
                         fmt::format("`assert {}` {}", statement.text(), why),
                         {fmt::format("the statement is at {}", context_->Where(statement.loc()))},
                         statement.message().empty() ? "check the parameters" : statement.message()});
    }
  }

  Result<void> CollectDrops() {
    std::vector<CompiledName> only;
    const NamePrefix prefix;
    std::string only_where;
    for (const plan::Drop& drop : proto_.drops()) {
      for (const std::vector<size_t>& choices : AllChoices(drop.pattern())) {
        CKMAP_ASSIGN_OR_RETURN(CompiledName pattern, CompiledName::Compile(Choose(drop.pattern(), choices),
                                                                           {.separator = context_->source_separator,
                                                                            .scope = variables_,
                                                                            .spaces = &context_->visible.spaces()}));
        if (drop.only()) {
          only.push_back(std::move(pattern));
          only_where = context_->Where(drop.loc());
          continue;
        }
        CKMAP_RETURN_IF_ERROR(CollectDrop(drop, pattern));
      }
    }
    if (only.empty()) return {};
    for (size_t i = 0; i < context_->source.size(); ++i) {
      const bool kept = std::any_of(only.begin(), only.end(), [&](const CompiledName& pattern) {
        Captures captures;
        return pattern.Match(context_->source[i].name, variables_, captures);
      });
      if (!kept) drops_.push_back({i, -1, only_where});
    }
    return {};
  }

  Result<void> CollectDrop(const plan::Drop& drop, const CompiledName& pattern) {
    const NamePrefix prefix;
    const auto add = [&](size_t tensor, const Captures& captures) -> Result<void> {
      if (drop.has_when()) {
        CKMAP_ASSIGN_OR_RETURN(const bool when,
                               EvaluateBool(drop.when(), ApplicationScope(*context_, prefix, captures)));
        if (!when) return {};
      }
      drops_.push_back({tensor,
                        static_cast<int>(context_->Level(drop.loc())) * 4 + 1,
                        context_->Where(drop.loc()),
                        &drop,
                        {},
                        captures});
      return {};
    };
    if (pattern.literal()) {
      const auto found = context_->source.Find(*pattern.literal());
      return found ? add(*found, {}) : Result<void>();
    }
    for (size_t i = 0; i < context_->source.size(); ++i) {
      Captures captures;
      if (pattern.Match(context_->source[i].name, variables_, captures)) CKMAP_RETURN_IF_ERROR(add(i, captures));
    }
    return {};
  }

  // Takes out the applications whose source or target something of higher priority claims.
  void Overrule() {
    const auto before = [&](const RuleInstance& a, const RuleInstance& b) { return Priority(a) < Priority(b); };
    if (!std::is_sorted(instances_.begin(), instances_.end(), before)) {
      std::stable_sort(instances_.begin(), instances_.end(), before);
    }
    constexpr int kFree = std::numeric_limits<int>::max();
    std::vector<int> sources(context_->source.size(), kFree), targets(bound_.target.size(), kFree);
    for (const DropClaim& drop : drops_) sources[drop.source] = std::min(sources[drop.source], drop.priority);
    size_t kept = 0;
    for (RuleInstance& instance : instances_) {
      const int priority = Priority(instance);
      bool overruled = std::any_of(instance.sources.begin(), instance.sources.end(),
                                   [&](size_t source) { return sources[source] < priority; });
      instance.ForEachTarget([&](size_t target) { overruled = overruled || targets[target] < priority; });
      if (overruled) continue;
      for (const size_t source : instance.sources) sources[source] = std::min(sources[source], priority);
      instance.ForEachTarget([&](size_t target) { targets[target] = std::min(targets[target], priority); });
      if (&instances_[kept] != &instance) instances_[kept] = std::move(instance);
      ++kept;
    }
    instances_.resize(kept);
  }

  int Priority(const RuleInstance& instance) const {
    return RulePriority(*context_, *instance.rule, instance.layer != nullptr);
  }

  Result<void> ApplyDrops() {
    if (drops_.empty()) return {};
    std::unordered_map<size_t, const RuleInstance*> used;
    for (const RuleInstance& instance : instances_) {
      for (const size_t source : instance.sources) used.emplace(source, &instance);
    }
    std::unordered_map<size_t, int> decides;  // the priority of the `drop` that holds for a source
    for (const DropClaim& drop : drops_) {
      if (drop.drop == nullptr) continue;
      const auto [at, made] = decides.try_emplace(drop.source, drop.priority);
      if (!made) at->second = std::min(at->second, drop.priority);
    }
    std::unordered_map<size_t, size_t> done;  // index into `bound_.dropped`, or none
    constexpr size_t kReported = static_cast<size_t>(-1);
    EqualTo equal_to;
    for (const DropClaim& drop : drops_) {
      const auto user = used.find(drop.source);
      const std::string& name = context_->source[drop.source].name;
      if (user != used.end()) {
        if (Priority(*user->second) < drop.priority || drop.priority < 0) continue;  // overruled
        if (!done.emplace(drop.source, kReported).second) continue;
        issues_.push_back({"CK1211",
                           IssueSeverity::kError,
                           name,
                           fmt::format("`{}` is dropped and used", name),
                           {fmt::format("dropped at {}", drop.where),
                            fmt::format("used by the rule at {}: {}", context_->Where(user->second->rule->loc()),
                                        user->second->rule->text())},
                           "take one of the two away, or give it a `when`"});
        continue;
      }
      if (drop.drop != nullptr && drop.priority != decides.at(drop.source))
        continue;  // a file that uses this one says otherwise
      const auto [at, first] = done.try_emplace(drop.source, bound_.dropped.size());
      if (first) bound_.dropped.push_back({drop.source, name, drop.where, ""});
      if (drop.drop == nullptr || !drop.drop->has_equals()) continue;
      // All that is said of it must hold, not only what is said first.
      bound_.dropped[at->second].rule = drop.where;
      bound_.dropped[at->second].equals = drop.drop->equals().text();
      const size_t checks = bound_.checks.size();
      CheckContents(*context_, *drop.drop, drop.source, drop.prefix, drop.captures, bound_.checks, issues_);
      if (bound_.checks.size() == checks) continue;
      std::vector<size_t>& equals = equal_to[drop.source].emplace_back();
      ForEachSource(bound_.checks.back().expected, [&](size_t other) { equals.push_back(other); });
    }
    ReportCircles(equal_to);
    std::sort(bound_.dropped.begin(), bound_.dropped.end(),
              [](const DroppedTensor& a, const DroppedTensor& b) { return a.source < b.source; });
    return {};
  }

  // What each dropped tensor is said to equal: the tensors that hold it, or none where that is a constant.
  using EqualTo = std::map<size_t, std::vector<std::vector<size_t>>>;

  // Tensors that are dropped because each equals another one of them: what they hold would be nowhere.
  void ReportCircles(const EqualTo& equal_to) {
    std::map<size_t, std::vector<size_t>> waiting;  // tensor → those that equal it
    std::set<size_t> held;                          // what a tensor that is not dropped so, or a constant, holds
    std::vector<size_t> work;
    const auto hold = [&](size_t source) {
      if (held.insert(source).second) work.push_back(source);
    };
    for (const auto& [source, all] : equal_to) {
      for (const std::vector<size_t>& equals : all) {
        if (std::none_of(equals.begin(), equals.end(), [&](size_t other) { return equal_to.contains(other); }))
          hold(source);
        for (const size_t other : equals) waiting[other].push_back(source);
      }
    }
    while (!work.empty()) {
      const size_t source = work.back();
      work.pop_back();
      for (const size_t other : waiting[source]) hold(other);
    }
    for (const DroppedTensor& dropped : bound_.dropped) {
      if (!equal_to.contains(dropped.source) || held.contains(dropped.source)) continue;
      issues_.push_back(
          {"CK1218",
           IssueSeverity::kError,
           dropped.name,
           fmt::format("`{}` is dropped as equal to {}, which is dropped as equal to it in turn: no target "
                       "tensor would hold it",
                       dropped.name, dropped.equals),
           {fmt::format("the statement is at {}", dropped.rule)},
           "write a rule for one of the two"});
    }
  }

  // What no statement claims goes to its renamed name, as it is. Gives those whose renamed name the target lacks.
  Result<std::vector<size_t>> PassThrough(UnmatchedStatements& unmatched) {
    std::vector<bool> claimed(context_->source.size(), false);
    for (const RuleInstance& instance : instances_) {
      for (const size_t source : instance.sources) claimed[source] = true;
    }
    for (const DropClaim& drop : drops_) claimed[drop.source] = true;
    std::vector<size_t> left_over;
    for (size_t i = 0; i < context_->source.size(); ++i) {
      if (claimed[i]) continue;
      const TensorInfo& info = context_->source[i];
      if (context_->visible.InSpace(info.name)) continue;  // only rules name tensors of further sources
      std::vector<const plan::Rename*> renames;
      CKMAP_ASSIGN_OR_RETURN(const Renamed renamed, context_->renamer.Apply(info.name, &renames));
      for (const plan::Rename* rename : renames) unmatched.Applied(rename);
      const auto target = renamed.met ? bound_.target.Find(renamed.name) : std::nullopt;
      if (!target) {
        left_over.push_back(i);
        continue;
      }
      RuleInstance instance = WholeCopy(i, *target);
      Pass(instance, renames.empty() ? "same name" : context_->Where(renames.front()->loc()));
      instances_.push_back(std::move(instance));
    }
    return left_over;
  }

  // `why` the tensor goes where it goes. What a derived source is made by is part of the reason.
  void Pass(RuleInstance& instance, std::string why) const {
    instance.passed = std::move(why);
    const DerivedSource* derived = context_->visible.derived(instance.sources.front());
    if (derived == nullptr) return;
    instance.passed = fmt::format("{}, {}", context_->Where(derived->rule->loc()), instance.passed);
    instance.ops = derived->ops;
  }

  RuleInstance WholeCopy(size_t source, size_t target) const {
    RuleInstance instance;
    instance.sources = {source};
    instance.writes.push_back({target, {}, nullptr});
    return instance;
  }

  // `match suffix`: a target that nobody writes takes the one left-over source whose name ends in
  // its name, on whole segments, where no other target fits that source as well.
  void MatchSuffixes(const std::vector<size_t>& left_over) {
    const auto policy = std::find_if(proto_.policies().begin(), proto_.policies().end(),
                                     [](const auto& p) { return p.kind() == plan::TargetPolicy::MATCH_SUFFIX; });
    if (policy == proto_.policies().end()) return;
    std::set<size_t> written;
    for (const RuleInstance& instance : instances_) {
      instance.ForEachTarget([&](size_t target) { written.insert(target); });
    }
    std::map<size_t, std::vector<size_t>> by_target;
    std::map<size_t, size_t> fits;  // how many targets a source fits
    for (const size_t source : left_over) {
      std::string_view name = context_->source[source].name;
      while (true) {
        const size_t at = name.find(context_->source_separator);
        if (at == std::string_view::npos) break;
        name.remove_prefix(at + context_->source_separator.size());
        const auto target = bound_.target.Find(name);
        if (!target || written.contains(*target)) continue;
        by_target[*target].push_back(source);
        ++fits[source];
      }
    }
    for (const auto& [target, candidates] : by_target) {
      if (candidates.size() != 1 || fits[candidates.front()] != 1) continue;
      RuleInstance instance = WholeCopy(candidates.front(), target);
      Pass(instance, context_->Where(policy->loc()));
      instances_.push_back(std::move(instance));
    }
  }

  // From here on sources are those of the files: a derived source that was left out was what it is made of, as far as
  // nothing else is made of that.
  void NameFilesOfDropped() {
    if (proto_.derived().empty()) return;
    std::vector<bool> read(bound_.source.size(), false);
    for (const BoundTensor& tensor : bound_.tensors) ForEachSource(tensor, [&](size_t source) { read[source] = true; });
    std::vector<DroppedTensor> dropped;
    for (const DroppedTensor& tensor : bound_.dropped) {
      for (const size_t file : visible_->FilesOf(tensor.source)) {
        if (read[file]) continue;
        read[file] = true;  // said once
        dropped.push_back({file, bound_.source[file].name, tensor.rule, tensor.equals});
      }
    }
    std::sort(dropped.begin(), dropped.end(),
              [](const DroppedTensor& a, const DroppedTensor& b) { return a.source < b.source; });
    bound_.dropped = std::move(dropped);
  }

  void FillReport() {
    std::set<std::string> packs;
    for (const plan::SourceFile& file : proto_.files()) {
      if (!file.pack().empty() && packs.insert(file.pack()).second) {
        bound_.packs.emplace_back(file.pack(), file.pack_version());
      }
    }
    for (const plan::Variable& variable : proto_.variables()) {
      if (!variable.is_param()) continue;
      const Value value = variables_.Variable(variable.name());
      const auto* text = std::get_if<std::string>(&value);
      const bool json = variable.type() == plan::Variable::JSON && text != nullptr && !text->empty();
      bound_.params[variable.name()] = json ? *text : FormatValue(value);
    }
  }

  Result<BindResult> Finish() {
    std::stable_sort(issues_.begin(), issues_.end(), BeforeInReport);
    BindResult result;
    result.issues = issues_;
    const bool errors = !issues_.empty() && issues_.front().severity == IssueSeverity::kError;
    if (!errors) {
      bound_.notes = issues_;
      result.plan = std::move(bound_);
    }
    return result;
  }

  const plan::Plan& proto_;
  const BoundVariables variables_;
  BoundPlan bound_;
  std::unique_ptr<VisibleSource> visible_;
  const BindContext* context_ = nullptr;
  std::vector<Issue> issues_;
  std::vector<RuleInstance> instances_;
  std::vector<DropClaim> drops_;
};

}  // namespace

Result<BindResult> Bind(const Plan& plan, Manifest source, Manifest target, const BindOptions& options) {
  std::vector<Issue> issues;
  CKMAP_ASSIGN_OR_RETURN(BoundVariables variables,
                         BindVariables(plan.proto(), options.defines, options.config_json,
                                       options.config_path.empty() ? "config" : options.config_path, issues));
  // Without its parameters nothing further would be told truly.
  if (!issues.empty()) return BindResult{std::nullopt, std::move(issues)};
  const bool reversed = plan.proto().reversed();
  CKMAP_RETURN_IF_ERROR(
      CheckSizesAreKnown(reversed ? target : source, reversed ? "the plan runs backwards: target" : "source"));
  if (reversed) {
    if (!options.placement.ranks.empty() || !options.placement.devices.entries.empty()) {
      return Error(ErrorCode::kUsage,
                   "the plan runs backwards: its `place` and `shard` are of the other side, and neither ranks nor a "
                   "device map can be given");
    }
    CKMAP_ASSIGN_OR_RETURN(BindResult forward, Binder(plan, std::move(target), std::move(source), std::move(variables))
                                                   .Run(options.placement, {}, options.remarks));
    return Reverse(std::move(forward));
  }
  return Binder(plan, std::move(source), std::move(target), std::move(variables))
      .Run(options.placement, options.source, options.remarks);
}

Result<TargetDescription> DescribeTarget(const Plan& plan, Manifest source, const BindOptions& options) {
  if (plan.proto().reversed()) {
    return Error(ErrorCode::kUsage, "the plan runs backwards: it does not describe the network that it leads to");
  }
  const auto& renames = plan.proto().renames();
  if (std::any_of(renames.begin(), renames.end(), [](const plan::Rename& rename) { return rename.of_target(); })) {
    return Error(ErrorCode::kUsage,
                 "the plan renames the target's names (`rename target`), so that it needs to see them");
  }
  std::vector<Issue> issues;
  CKMAP_ASSIGN_OR_RETURN(BoundVariables variables,
                         BindVariables(plan.proto(), options.defines, options.config_json,
                                       options.config_path.empty() ? "config" : options.config_path, issues));
  if (!issues.empty()) return TargetDescription{std::nullopt, std::move(issues)};
  return Binder(plan, std::move(source), {}, std::move(variables)).Describe(options.source);
}

}  // namespace ckmap
