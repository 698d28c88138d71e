#include "runtime/bind/target/target_check.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "runtime/base/parallel.h"
#include "runtime/bind/computed_node.h"
#include "runtime/bind/explain/candidates.h"
#include "runtime/bind/explain/name_contradictions.h"
#include "runtime/bind/explain/variant_lint.h"
#include "runtime/bind/rules/layer_binder.h"
#include "runtime/bind/target/decisions.h"

namespace ckmap {
namespace {

// "`a`, `b`": the file's tensors that a derived source is made of.
std::string ListOfNames(const VisibleSource& visible, const DerivedSource& derived) {
  constexpr size_t kMaxNames = 4;
  std::string text;
  for (size_t i = 0; i < derived.files.size(); ++i) {
    if (i == kMaxNames) return text + ", …";
    text += fmt::format("{}`{}`", i == 0 ? "" : ", ", visible.files()[derived.files[i]].name);
  }
  return text;
}

// Searching for near names is quadratic; past this many issues of a kind only the fact is told.
constexpr size_t kMaxExplained = 100;

// In how many parts bitcasts cut the elements of each source tensor; 1: in none.
std::vector<int64_t> PartsOfElements(const Manifest& source, const std::vector<const PiecedTensor*>& tensors) {
  std::vector<int64_t> parts(source.size(), 1);
  for (const PiecedTensor* tensor : tensors) {
    ForEachPieced(*tensor, [&](const PiecedTensor& part) {
      for (const BoundInput& input : part.inputs) {
        if (input.node != nullptr || input.view == DType::kAny) continue;
        const int64_t ratio = DTypeSize(source[input.source].dtype) / DTypeSize(input.view);
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

}  // namespace

void TargetCheck::Add(std::string code, std::string tensor, std::string message, std::vector<std::string> notes,
                      std::string help) {
  issues_.push_back({std::move(code), IssueSeverity::kError, std::move(tensor), std::move(message), std::move(notes),
                     std::move(help)});
}

void TargetCheck::CollectClaims(std::vector<RuleInstance>& instances) {
  claims_.first.resize(bound_.target.size());
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
      if (claims_.first[target].instance == nullptr) {
        claims_.first[target] = {&instance, i};
      } else {
        claims_.rivals[target].push_back({&instance, i});
      }
    }
  }
}

Result<void> TargetCheck::Run(std::vector<RuleInstance>& instances) {
  CKMAP_ASSIGN_OR_RETURN(statements_, TargetStatements::Read(context_));
  CollectClaims(instances);
  // What is left over on both sides is needed before the first of it is reported.
  std::vector<bool> used(context_.source.size(), false);
  for (const RuleInstance& instance : instances) {
    for (const size_t source : instance.sources) used[source] = true;
  }
  for (const DroppedTensor& dropped : bound_.dropped) used[dropped.source] = true;
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) unused_sources_.push_back(i);
  }
  for (size_t i = 0; i < bound_.target.size(); ++i) {
    if (claims_.first[i].instance == nullptr) unwritten_targets_.push_back(i);
  }
  CKMAP_RETURN_IF_ERROR(BindTargets());
  // After all targets, since a tied one may follow what it is tied to.
  for (size_t i = 0; i < missing_.size(); ++i) ReportMissing(missing_[i]);
  ReportUnknownTargets(instances);
  CheckSources();
  CheckUnread();
  CheckUntouched(instances);
  if (!context_.plan.reversed()) CKMAP_RETURN_IF_ERROR(NoteIdleInits());
  ReportDecisions(context_, statements_, bound_, issues_);
  return {};
}

void TargetCheck::Lint() {
  std::vector<const RuleInstance*> instances;
  instances.reserve(claims_.first.size());
  for (const Claim& claim : claims_.first) instances.push_back(claim.instance);
  const TensorLinks links(context_, bound_, instances);
  ReportVariants(context_, links, issues_);
  ReportContradictions(context_, links, issues_);
}

// On all cores; parts are brought together in the target's order, so nothing depends on timing.
Result<void> TargetCheck::BindTargets() {
  constexpr size_t kWorthAThread = 20'000;  // tensors
  const size_t targets = bound_.target.size();
  const auto threads = std::clamp<size_t>(targets / kWorthAThread, 1, static_cast<size_t>(DefaultThreads()));
  std::vector<TargetBinder> binders(threads, TargetBinder(context_, statements_, claims_));
  whole_.resize(bound_.source.size(), false);
  const auto bind_part = [&](size_t t) -> Result<void> {
    const size_t begin = targets * t / threads, end = targets * (t + 1) / threads;
    binders[t].part().tensors.reserve(t == 0 ? targets : end - begin);  // the first takes up the others
    for (size_t i = begin; i < end; ++i) CKMAP_RETURN_IF_ERROR(binders[t].Bind(i));
    return {};
  };
  CKMAP_RETURN_IF_ERROR(ForEachInParallel(static_cast<int>(threads), threads, [&]() -> ItemBody { return bind_part; }));
  bound_.tensors.swap(binders.front().part().tensors);
  for (TargetBinder& binder : binders) {
    TargetBinder::Part& part = binder.part();
    const auto append = [](auto& to, auto& from) { std::move(from.begin(), from.end(), std::back_inserter(to)); };
    append(bound_.tensors, part.tensors);
    append(bound_.kept, part.kept);
    append(issues_, part.issues);
    append(missing_, part.missing);
    append(partial_, part.partial);
    for (const size_t source : part.whole) whole_[source] = true;
    inits_.merge(part.inits);
  }
  return {};
}

// A range may name hundreds of thousands of targets that are not there: of one rule the first are reported each by
// itself.
void TargetCheck::ReportUnknownTargets(std::vector<RuleInstance>& instances) {
  std::unordered_map<const plan::Rule*, size_t> counts;
  for (RuleInstance& instance : instances) {
    for (RuleInstance::Write& write : instance.writes) {
      if (write.target != RuleInstance::kNoTarget) continue;
      if (++counts[instance.rule] > kMaxExplained) continue;
      TensorInfo wanted;
      wanted.name = write.name;
      const PiecedTensor value = TakeValue(context_, instance, write);
      wanted.dtype = value.dtype;
      wanted.shape = value.value.shape;
      std::vector<std::string> notes = {RuleNote(context_, instance)};
      for (std::string& near : NearestNames(wanted, bound_.target, unwritten_targets_)) {
        notes.push_back("the target has " + near);
      }
      Add("CK1206", write.name, fmt::format("the target has no `{}`, which a rule would write", write.name),
          std::move(notes), "correct the right side of the rule, or give it a `when target_has(…)`");
      auto facts = std::make_shared<IssueFacts>();
      facts->sources = context_.visible.FilesOf(instance.sources);
      issues_.back().facts = std::move(facts);
    }
  }
  for (const RuleInstance& instance : instances) {  // in the order of the rules, whatever that of the map
    const auto count = counts.find(instance.rule);
    if (count == counts.end() || count->second <= kMaxExplained) continue;
    Add("CK1206", "",
        fmt::format("the target lacks {} more tensors that the rule would write", count->second - kMaxExplained),
        {RuleNote(context_, instance)}, "correct the right side of the rule, or the range in its `where`");
    counts.erase(count);
  }
}

void TargetCheck::ReportMissing(size_t index) {
  const TensorInfo& target = bound_.target[index];
  const auto tied = target.tied_to.empty() ? std::nullopt : bound_.target.Find(target.tied_to);
  if (tied && claims_.first[*tied].instance != nullptr) {
    bound_.kept.push_back({target.name, fmt::format("tied to `{}`", target.tied_to)});
    return;
  }
  if (const plan::TargetPolicy* allowed =
          statements_.Allowed(context_, plan::TargetPolicy::ALLOW_MISSING, target.name)) {
    bound_.kept.push_back({target.name, context_.Where(allowed->loc())});
    return;
  }
  if (target.optional) {
    bound_.kept.push_back({target.name, "optional in the target"});
    return;
  }
  if (failed_[index]) return;  // its rule was reported
  std::vector<std::string> notes;
  if (explained_missing_++ < kMaxExplained) {
    for (const plan::Rule& rule : context_.plan.rules()) {
      for (const plan::Term& term : rule.target().terms()) {
        for (const std::vector<size_t>& choices : AllChoices(term.pattern())) {
          const auto pattern =
              CompiledName::Compile(Choose(term.pattern(), choices), {context_.target_separator, context_.variables});
          Captures captures;
          if (!pattern || !pattern->Match(target.name, context_.variables, captures) || notes.size() > 2) continue;
          notes.push_back(
              fmt::format("the rule at {} would write it, but it does not apply, for what it needs is not in the "
                          "source, or its `when` does not hold: {}",
                          context_.Where(rule.loc()), rule.text()));
        }
      }
    }
    for (std::string& near : NearestNames(target, context_.source, unused_sources_)) {
      notes.push_back("not used so far: " + near);
    }
  }
  Add("CK1201", target.name, fmt::format("nothing writes {}", DescribeTensor(target)), std::move(notes),
      "add a rule or rename for it, or: init \"…\" = keep; target { allow missing \"…\"; }");
}

void TargetCheck::CheckSources() {
  std::vector<size_t> unused;
  for (const size_t source : unused_sources_) {
    const std::string& name = context_.source[source].name;
    if (const plan::TargetPolicy* allowed = statements_.Allowed(context_, plan::TargetPolicy::ALLOW_UNUSED, name)) {
      bound_.dropped.push_back({source, name, context_.Where(allowed->loc()), ""});
    } else if (context_.source[source].optional) {
      bound_.dropped.push_back({source, name, "optional in the source", ""});
    } else {
      unused.push_back(source);
    }
  }
  std::vector<size_t> explained(unused.begin(),
                                unused.begin() + static_cast<std::ptrdiff_t>(std::min(unused.size(), kMaxExplained)));
  std::vector<std::vector<std::string>> near;
  if (!explained.empty() && !context_.plan.layers().empty()) near = NearMissesOfLayers(context_, explained);
  near.resize(explained.size());
  for (size_t i = 0; i < unused.size(); ++i) {
    if (i < explained.size())
      ReportUnused(unused[i], std::move(near[i]));
    else
      AddUnused(context_.source[unused[i]], {});
  }
}

// `notes`: what layers say of it.
void TargetCheck::ReportUnused(size_t source, std::vector<std::string> notes) {
  const TensorInfo& info = context_.source[source];
  if (const DerivedSource* derived = context_.visible.derived(source)) {
    notes.push_back(fmt::format("it is made of {} by {}: {}", ListOfNames(context_.visible, *derived),
                                context_.Where(derived->rule->loc()), derived->rule->text()));
  }
  const auto renamed = context_.renamer.Apply(info.name);
  if (renamed && !renamed->met) {
    notes.push_back(fmt::format("no name of the target becomes `{}` by its renames", renamed->name));
  } else if (renamed && renamed->name != info.name) {
    notes.push_back(fmt::format("the renames make it `{}`, which the target lacks", renamed->name));
  }
  for (std::string& near : NearestNames(info, bound_.target, missing_)) notes.push_back("not written so far: " + near);
  for (size_t i = 0; info.storage >= 0 && i < context_.source.size(); ++i) {
    if (i == source || context_.source[i].storage != info.storage) continue;
    notes.push_back(fmt::format("it shares its bytes with `{}`", context_.source[i].name));
    break;
  }
  AddUnused(info, std::move(notes));
}

void TargetCheck::AddUnused(const TensorInfo& info, std::vector<std::string> notes) {
  Add("CK1202", info.name, fmt::format("nothing uses {}", DescribeTensor(info)), std::move(notes),
      "add a rule or rename for it, or: drop \"…\";");
}

void TargetCheck::CheckUnread() {
  std::vector<const PiecedTensor*> partial;
  // A derived source that is left out on purpose takes with it what it is made of.
  for (const DroppedTensor& dropped : bound_.dropped) {
    if (const DerivedSource* derived = context_.visible.derived(dropped.source)) partial.push_back(&derived->value);
  }
  size_t next = 0;  // both are in the target's order
  for (const BoundTensor& tensor : bound_.tensors) {
    if (next == partial_.size()) break;
    if (tensor.target != partial_[next]) continue;
    partial.push_back(&tensor);
    ++next;
  }
  const std::vector<int64_t> parts = PartsOfElements(bound_.source, partial);
  // Calls visit(source, piece, units) for all that is read, by computed nodes too; an element of the piece is `units`
  // of the `parts` of elements.
  const auto for_each_read = [&](const auto& visit) {
    for (const PiecedTensor* tensor : partial) {
      ForEachPieced(*tensor, [&](const PiecedTensor& part) {
        for (const Piece& piece : part.value.pieces) {
          if (piece.input == kFillInput) continue;
          const BoundInput& input = part.inputs[static_cast<size_t>(piece.input)];
          if (input.node != nullptr) continue;
          const DType dtype = bound_.source[input.source].dtype;
          const int64_t units = parts[input.source];
          visit(input.source, piece,
                input.view == DType::kAny ? units : units * DTypeSize(input.view) / DTypeSize(dtype));
        }
      });
    }
  };
  for_each_read([&](size_t source, const Piece& piece, int64_t units) {
    const int64_t count = NumElements(bound_.source[source].shape).value_or(-1) * parts[source];
    if (units == 1 ? ReadsAll(piece, count) : ReadsAll(InFinerUnits(piece, units), count)) whole_[source] = true;
  });
  std::unordered_map<size_t, std::vector<Piece>> pieces;
  for_each_read([&](size_t source, const Piece& piece, int64_t units) {
    if (!whole_[source]) pieces[source].push_back(InFinerUnits(piece, units));
  });
  for (size_t source = 0; source < bound_.source.size(); ++source) {
    const auto found = pieces.find(source);
    if (found == pieces.end()) continue;
    const TensorInfo& info = bound_.source[source];
    Shape shape = info.shape;
    if (parts[source] > 1) shape.push_back(parts[source]);
    const std::string unread = DescribeUnread(found->second, shape);
    if (unread.empty() || statements_.Allowed(context_, plan::TargetPolicy::ALLOW_UNUSED, info.name) != nullptr)
      continue;
    Add("CK1214", info.name, fmt::format("{} of {} are read by no rule", unread, DescribeTensor(info)), {},
        "use them, or: target { allow unused \"…\"; }");
  }
}

void TargetCheck::CheckUntouched(const std::vector<RuleInstance>& instances) {
  // What a rule that failed would have read is not known.
  const bool failed = std::any_of(issues_.begin(), issues_.end(),
                                  [](const Issue& issue) { return issue.severity == IssueSeverity::kError; });
  if (failed) return;
  std::vector<bool> read = whole_;
  for (const BoundTensor& tensor : bound_.tensors) {
    ForEachPieced(tensor, [&](const PiecedTensor& part) {
      for (const Piece& piece : part.value.pieces) {
        if (piece.input == kFillInput) continue;
        const BoundInput& input = part.inputs[static_cast<size_t>(piece.input)];
        if (input.node == nullptr) read[input.source] = true;
      }
    });
  }
  for (const RuleInstance& instance : instances) {
    for (const size_t source : context_.visible.FilesOf(instance.sources)) {
      const TensorInfo& info = bound_.source[source];
      if (read[source] || NumElements(info.shape).value_or(0) == 0) continue;
      read[source] = true;  // said once
      if (statements_.Allowed(context_, plan::TargetPolicy::ALLOW_UNUSED, info.name) != nullptr) continue;
      Add("CK1214", info.name, fmt::format("no element of {} is read", DescribeTensor(info)),
          {RuleNote(context_, instance)}, "use it, or take it out of the rule and: drop \"…\";");
    }
  }
}

// An `init` makes what nothing else writes. One that names tensors which the source gives is easily taken for one that
// replaces them.
Result<void> TargetCheck::NoteIdleInits() {
  const NamePrefix prefix;
  for (const plan::Init& init : context_.plan.inits()) {
    if (init.optional() || context_.Level(init.loc()) != 0) continue;
    std::vector<const BoundTensor*> written;
    for (const auto& [statement, pattern] : statements_.inits) {
      if (statement != &init) continue;
      for (const BoundTensor& tensor : bound_.tensors) {
        Captures captures;
        if (tensor.initialized || !pattern.Match(tensor.name, context_.variables, captures)) continue;
        if (init.has_when()) {
          const auto when = EvaluateBool(init.when(), ApplicationScope(context_, prefix, captures));
          if (!when || !*when) continue;
        }
        written.push_back(&tensor);
      }
    }
    if (written.empty()) continue;
    const std::string more = written.size() > 1 ? fmt::format(" and {} more", written.size() - 1) : "";
    const bool idle = !inits_.contains(&init);
    std::string source;
    ForEachSource(*written[0], [&](size_t from) { source = source.empty() ? bound_.source[from].name : source; });
    issues_.push_back({"CK1232",
                       IssueSeverity::kWarning,
                       written[0]->name,
                       fmt::format("`init \"{}\"` {}: `{}`{} {} from the source", init.pattern().text(),
                                   idle ? "changes nothing" : "does not reach all that it names", written[0]->name,
                                   more, written.size() > 1 ? "come" : "comes"),
                       {fmt::format("it stands at {}", context_.Where(init.loc())),
                        fmt::format("`{}` is made of `{}` ({})", written[0]->name, source, written[0]->rule)},
                       fmt::format("to have the network's tensor made anew, leave the source's out: drop \"{}\"; if "
                                   "the statement is for what the source "
                                   "lacks, mark its name: init \"{}\"? = …;",
                                   source, init.pattern().text())});
  }
  return {};
}

}  // namespace ckmap
