#include "runtime/bind/explain/name_story.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/bind/computed_node.h"
#include "runtime/bind/explain/candidates.h"
#include "runtime/bind/explain/pattern_distance.h"
#include "runtime/bind/rules/derived_sources.h"
#include "runtime/bind/rules/layer_binder.h"
#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {
namespace {

constexpr size_t kMaxNear = 5;
constexpr size_t kMaxPieces = 12;

std::string DescribePiece(const Piece& piece) {
  std::string text = fmt::format("{} from element {} to element {}", Plural(piece.elements(), "element"),
                                 piece.src_offset, piece.dst_offset);
  for (const PieceAxis& axis : piece.axes)
    text += fmt::format(", {} in steps {} -> {}", axis.size, axis.src_stride, axis.dst_stride);
  return text;
}

// The variables, captures and questions of a condition, with their values.
void ValuesOf(const plan::Expr& expr, const Scope& scope, std::vector<std::string>& out) {
  const auto add = [&](std::string name, const Result<Value>& value) {
    std::string text = fmt::format("{} = {}", name, value ? FormatValue(*value) : "?");
    if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
  };
  if (expr.has_variable()) add(expr.variable(), Evaluate(expr, scope));
  if (expr.has_capture()) add(expr.capture(), Evaluate(expr, scope));
  if (!expr.has_call()) return;
  const plan::Call& call = expr.call();
  if (call.args_size() > 0 && call.args(0).has_name()) {
    std::string args = QuoteName(call.args(0).name().text());
    for (int i = 1; i < call.args_size(); ++i) {
      const auto value = Evaluate(call.args(i), scope);
      args += ", " + (value ? FormatValue(*value) : "?");
    }
    add(fmt::format("{}({})", call.function(), args), Evaluate(expr, scope));
    return;
  }
  for (const plan::Expr& arg : call.args()) ValuesOf(arg, scope, out);  // a plan's expressions are bounded in depth
}

class StoryTeller {
 public:
  StoryTeller(const Plan& plan, const std::string& name, const StoryOptions& options, const BindContext& context,
              std::optional<BindResult> bound)
      : plan_(plan),
        name_(name),
        context_(context),
        bound_(std::move(bound)),
        with_manifests_(options.source.has_value()) {}

  Result<std::vector<NameStory>> Run() {
    // A reversed plan is bound forwards: its rules are those of the other direction.
    const bool reversed = plan_.proto().reversed();
    if (with_manifests_) {
      CKMAP_ASSIGN_OR_RETURN(instances_, BindRules(context_, RulesOf(context_.plan), found_));
      CKMAP_ASSIGN_OR_RETURN(LayerBindings layers, BindLayers(context_, found_));
      for (RuleInstance& instance : layers.instances) instances_.push_back(std::move(instance));
    }
    const auto in_source = context_.source.Find(name_), in_target = context_.target.Find(name_);
    std::vector<NameStory> stories;
    const std::string holder = in_source ? "" : context_.visible.WhatHolds(name_);
    const bool none = !in_source && !in_target && holder.empty();
    if (!holder.empty()) {
      stories.push_back(PartOf(holder));
    } else if (in_source || none) {
      stories.push_back(Source(in_source));
    }
    if (in_target || none) stories.push_back(Target(in_target));
    for (NameStory& story : stories) {
      if (reversed) story.target = !story.target;
    }
    return stories;
  }

 private:
  std::string Place(const plan::Location& loc) const { return context_.Where(loc); }

  // ---- what happens ------------------------------------------------------------------------------

  NameStory Source(std::optional<size_t> index) {
    NameStory story;
    story.tensor = index ? DescribeTensor(context_.source[*index]) : QuoteName(name_);
    const std::vector<size_t> files = index ? context_.visible.FilesOf(*index) : std::vector<size_t>();
    const bool derived = index && context_.visible.derived(*index) != nullptr;
    if (index && bound_ && bound_->plan && !plan_.proto().reversed()) {
      for (const BoundTensor& tensor : bound_->plan->tensors) {
        bool reads = false;
        ForEachSource(tensor, [&](size_t source) { reads = reads || std::count(files.begin(), files.end(), source); });
        if (reads) {
          const std::string what = fmt::format("goes to {}", QuoteName(tensor.name));
          story.entries.push_back(Made(what, tensor, derived ? std::nullopt : std::optional(files.front())));
        }
      }
      for (const DroppedTensor& tensor : bound_->plan->dropped) {
        if (tensor.source == files.front()) story.entries.push_back(Bare("dropped by", tensor.rule));
      }
    } else if (index && bound_) {
      Unbound(story, [&](const RuleInstance& instance) {
        return std::count(instance.sources.begin(), instance.sources.end(), *index) > 0;
      });
    }
    if (!with_manifests_) Patterns(false, story);
    if (story.entries.empty()) Renamed(story);
    Near(false, story);
    return story;
  }

  // A tensor of the files that went into a derived source.
  NameStory PartOf(const std::string& holder) const {
    NameStory story;
    const auto file = context_.visible.files().Find(name_);
    story.tensor = file ? DescribeTensor(context_.visible.files()[*file]) : QuoteName(name_);
    StoryEntry entry = Bare(fmt::format("is part of the derived source {}", QuoteName(holder)), "");
    const auto visible = context_.source.Find(holder);
    const DerivedSource* derived = visible ? context_.visible.derived(*visible) : nullptr;
    if (derived != nullptr) {
      entry.place = Place(derived->rule->loc());
      entry.text = derived->rule->text();
      entry.ops = derived->ops;
    }
    story.entries.push_back(std::move(entry));
    return story;
  }

  NameStory Target(std::optional<size_t> index) {
    NameStory story;
    story.target = true;
    story.tensor = index ? DescribeTensor(context_.target[*index]) : QuoteName(name_);
    if (index && bound_ && bound_->plan && !plan_.proto().reversed()) {
      for (const BoundTensor& tensor : bound_->plan->tensors) {
        if (tensor.target == *index)
          story.entries.push_back(Made(tensor.initialized ? "filled by" : "made by", tensor, std::nullopt));
      }
      for (const KeptTensor& tensor : bound_->plan->kept) {
        if (tensor.name == name_) story.entries.push_back(Bare("keeps the network's own value", tensor.rule));
      }
    } else if (index && bound_) {
      Unbound(story, [&](const RuleInstance& instance) { return instance.Targets(*index); });
    }
    if (!with_manifests_) Patterns(true, story);
    Near(true, story);
    return story;
  }

  static StoryEntry Bare(std::string what, std::string place) {
    StoryEntry entry;
    entry.what = std::move(what);
    entry.place = std::move(place);
    return entry;
  }

  StoryEntry Made(std::string what, const BoundTensor& tensor, std::optional<size_t> only) {
    StoryEntry entry = Bare(std::move(what), tensor.rule);
    entry.ops = tensor.ops;
    std::set<size_t> sources;
    ForEachSource(tensor, [&](size_t source) {
      if (sources.insert(source).second) entry.sources.push_back(DescribeTensor(context_.visible.files()[source]));
    });
    for (const RuleInstance& instance : instances_) {
      if (instance.rule == nullptr || Place(instance.rule->loc()) != tensor.rule) continue;
      if (!instance.Targets(tensor.target)) continue;
      used_.insert(instance.rule);
      entry.text = instance.rule->text();
      for (const size_t source : instance.sources) {
        if (entry.captures.empty()) CapturesOf(*instance.rule, context_.source[source].name, entry);
      }
    }
    for (const Piece& piece : tensor.value.pieces) {
      if (piece.input == kFillInput) {
        if (!only) entry.pieces.push_back(fmt::format("{}: one value", Plural(piece.elements(), "element")));
        continue;
      }
      const BoundInput& input = tensor.inputs[static_cast<size_t>(piece.input)];
      if (only && !input.node && input.source != *only) continue;
      const std::string from = input.node ? input.node->text : QuoteName(context_.visible.files()[input.source].name);
      std::string text = fmt::format("{}: {}", from, DescribePiece(piece));
      for (const CastOp& cast : input.casts) text += fmt::format(", cast to {}", DTypeName(cast.to));
      if (entry.pieces.size() < kMaxPieces) entry.pieces.push_back(std::move(text));
    }
    if (tensor.value.pieces.size() > kMaxPieces)
      entry.pieces.push_back(
          fmt::format("and {}", Plural(static_cast<int64_t>(tensor.value.pieces.size() - kMaxPieces), "piece")));
    return entry;
  }

  // Nothing is bound as a whole: what each rule that names the tensor ran into, and what is said of it.
  template <typename Concerns>
  void Unbound(NameStory& story, const Concerns& concerns) {
    for (const RuleInstance& instance : instances_) {
      if (!concerns(instance)) continue;
      used_.insert(instance.rule);
      StoryEntry entry = Bare(instance.issues.empty() ? "named by" : "cannot be applied", Place(instance.rule->loc()));
      entry.text = instance.rule->text();
      for (const size_t source : instance.sources) {
        if (entry.captures.empty()) CapturesOf(*instance.rule, context_.source[source].name, entry);
        entry.sources.push_back(DescribeTensor(context_.source[source]));
      }
      for (const Issue& issue : instance.issues) entry.why.push_back(fmt::format("{}: {}", issue.code, issue.message));
      story.entries.push_back(std::move(entry));
    }
    for (const Issue& issue : bound_->issues) {
      if (issue.tensor != name_) continue;
      StoryEntry entry = Bare(issue.severity == IssueSeverity::kError ? "does not fit" : "note", "");
      entry.why = issue.notes;
      entry.why.insert(entry.why.begin(), fmt::format("{}: {}", issue.code, issue.message));
      story.entries.push_back(std::move(entry));
    }
  }

  void Renamed(NameStory& story) const {
    std::vector<const plan::Rename*> used;
    const auto renamed = context_.renamer.Apply(name_, &used);
    if (!renamed || used.empty()) return;
    StoryEntry entry = Bare(fmt::format("renamed to {}", QuoteName(renamed->name)), Place(used[0]->loc()));
    for (size_t i = 1; i < used.size(); ++i) entry.place += ", " + Place(used[i]->loc());
    story.entries.push_back(std::move(entry));
  }

  // ---- patterns ----------------------------------------------------------------------------------

  // The names of one side of a rule, each with its alternatives chosen.
  std::vector<PatternMatch> MatchesOf(const plan::Rule& rule, bool target) const {
    const NamePrefix prefix;
    const Captures none;
    return MatchSide(rule, target, name_, target ? context_.target_separator : context_.source_separator,
                     ApplicationScope(context_, prefix, none));
  }

  void CapturesOf(const plan::Rule& rule, const std::string& source, StoryEntry& entry) const {
    const NamePrefix prefix;
    const Captures none;
    for (const PatternMatch& match :
         MatchSide(rule, false, source, context_.source_separator, ApplicationScope(context_, prefix, none))) {
      if (!match.matches) continue;
      for (const auto& [name, value] : match.captures) entry.captures.emplace_back(name, value);
      return;
    }
  }

  // Without manifests.
  void Patterns(bool target, NameStory& story) {
    for (const plan::Rule& rule : plan_.proto().rules()) {
      for (const PatternMatch& match : MatchesOf(rule, target)) {
        if (!match.matches) continue;
        used_.insert(&rule);
        StoryEntry entry = Bare(target ? "may be made by" : "may be used by", Place(rule.loc()));
        entry.text = rule.text();
        for (const auto& [name, value] : match.captures) entry.captures.emplace_back(name, value);
        story.entries.push_back(std::move(entry));
        break;
      }
    }
  }

  // ---- rules that do not apply -------------------------------------------------------------------

  struct Candidate {
    size_t closeness = 0;
    StoryEntry entry;
  };

  void Near(bool target, NameStory& story) {
    std::vector<Candidate> candidates;
    for (const plan::Rule& rule : plan_.proto().rules()) {
      if (used_.contains(&rule)) continue;
      std::vector<PatternMatch> matches = MatchesOf(rule, target);
      const auto best =
          std::max_element(matches.begin(), matches.end(),
                           [](const PatternMatch& a, const PatternMatch& b) { return a.closeness < b.closeness; });
      // A rule that leaves the name inside of its first segment has nothing to do with it.
      const size_t segment =
          std::min(name_.find(target ? context_.target_separator : context_.source_separator), name_.size());
      if (best == matches.end() || best->closeness <= segment) continue;
      Candidate candidate{best->closeness, Bare("does not apply", Place(rule.loc()))};
      candidate.entry.text = rule.text();
      if (best->matches) {
        for (const auto& [name, value] : best->captures) candidate.entry.captures.emplace_back(name, value);
        candidate.entry.why = WhyNotApplied(rule, *best, target);
        candidate.closeness = name_.size() + 1;
      } else {
        candidate.entry.why = {best->why};
      }
      candidates.push_back(std::move(candidate));
    }
    if (!target && with_manifests_) NearLayers(candidates);
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.closeness > b.closeness; });
    for (size_t i = 0; i < std::min(candidates.size(), kMaxNear); ++i)
      story.near.push_back(std::move(candidates[i].entry));
  }

  std::vector<std::string> WhyNotApplied(const plan::Rule& rule, const PatternMatch& match, bool target) const {
    if (!with_manifests_) return {};
    const NamePrefix prefix;
    const ApplicationScope scope(context_, prefix, match.captures);
    if (rule.has_when()) {
      const auto when = EvaluateBool(rule.when(), scope);
      if (!when || !*when) {
        std::vector<std::string> values;
        ValuesOf(rule.when(), scope, values);
        std::string text =
            when ? "its `when` does not hold" : "its `when` cannot be decided: " + when.error().message();
        for (size_t i = 0; i < values.size(); ++i) text += (i == 0 ? ": " : ", ") + values[i];
        return {text};
      }
    }
    if (target) {
      const auto why = WhyRuleDoesNotFit(context_, rule, prefix, match.captures);
      if (why && !why->empty()) return {*why};
    }
    for (const RuleInstance& instance : instances_) {
      bool any = false;
      instance.ForEachTarget([&](size_t) { any = true; });
      if (instance.rule != &rule || !any) continue;
      return {"another statement of the same tensors goes first: see above"};
    }
    return {"a tensor that it names is absent, or a `where` leaves these captures out"};
  }

  // Layers that name the last segment of the name.
  void NearLayers(std::vector<Candidate>& candidates) const {
    const size_t at = name_.rfind(context_.source_separator);
    const std::string module = at == std::string::npos ? "" : name_.substr(0, at);
    const std::string leaf = at == std::string::npos ? name_ : name_.substr(at + context_.source_separator.size());
    for (const plan::Layer& layer : plan_.proto().layers()) {
      const bool names = std::any_of(layer.rules().begin(), layer.rules().end(), [&](const plan::Rule& rule) {
        bool found = false;
        ForEachName(rule.source(), [&](const plan::Term& term) { found = found || term.pattern().text() == leaf; });
        return found;
      });
      if (!names) continue;
      const auto why = WhyLayerDoesNotFit(context_, layer, module);
      if (!why || why->empty()) continue;
      Candidate candidate{leaf.size(), Bare("does not apply", Place(layer.loc()))};
      candidate.entry.text = fmt::format("layer {}", layer.name());
      candidate.entry.why = {*why};
      if (layer.has_when() && why->find("`when`") != std::string::npos) {
        CKMAP_CHECK(!candidate.entry.why.empty());
        const Captures none;
        const auto prefix = PrefixOfModule(context_, module);
        std::vector<std::string> values;
        if (prefix) ValuesOf(layer.when(), ApplicationScope(context_, *prefix, none), values);
        for (size_t i = 0; i < values.size(); ++i) candidate.entry.why[0] += (i == 0 ? ": " : ", ") + values[i];
      }
      candidates.push_back(std::move(candidate));
    }
  }

  const Plan& plan_;
  const std::string& name_;
  const BindContext& context_;
  std::optional<BindResult> bound_;
  bool with_manifests_;
  std::vector<Issue> found_;
  std::vector<RuleInstance> instances_;
  std::set<const plan::Rule*> used_;
};

}  // namespace

Result<std::vector<NameStory>> TellStories(const Plan& plan, const std::string& name, const StoryOptions& options) {
  const plan::Plan& proto = plan.proto();
  std::vector<Issue> issues;
  CKMAP_ASSIGN_OR_RETURN(const BoundVariables variables,
                         BindVariables(proto, options.bind.defines, options.bind.config_json,
                                       options.bind.config_path.empty() ? "config" : options.bind.config_path, issues));
  if (options.source && !issues.empty()) return Error(ErrorCode::kMismatch, issues.front().message);
  std::optional<BindResult> bound;
  Manifest source, target;
  if (options.source && options.target) {
    source = proto.reversed() ? *options.target : *options.source;
    target = proto.reversed() ? *options.source : *options.target;
    CKMAP_ASSIGN_OR_RETURN(bound, Bind(plan, *options.source, *options.target, options.bind));
  }
  CKMAP_ASSIGN_OR_RETURN(const Renamer renamer, Renamer::Create(proto, variables, target));
  VisibleSource visible(source, options.bind.source);
  if (options.source) CKMAP_RETURN_IF_ERROR(DeriveSources(proto, target, variables, renamer, visible, issues));
  const BindContext context(proto, visible, target, variables, renamer);
  return StoryTeller(plan, name, options, context, std::move(bound)).Run();
}

}  // namespace ckmap
