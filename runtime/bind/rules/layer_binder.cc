#include "runtime/bind/rules/layer_binder.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr size_t kMaxNearLayers = 2;  // that are told of one tensor

// The last segment of each leaf that a layer names, and whether the layer must have it.
struct Leaf {
  std::string name;  // inside the module, may have several segments
  bool required = false;
};

class LayerBinder {
 public:
  LayerBinder(const BindContext& context, std::vector<Issue>& issues) : context_(context), issues_(issues) {}

  Result<LayerBindings> Run() {
    if (context_.plan.layers().empty()) return LayerBindings{};
    IndexSource();
    for (const plan::Layer& layer : context_.plan.layers()) {
      if (!layer.has_when() && layer.rules().empty() && layer.drops().empty()) continue;
      leaves_.emplace_back(LeavesOf(layer));
      for (const std::string& module : Candidates(leaves_.back())) {
        CKMAP_ASSIGN_OR_RETURN(const std::string why, WhyNot(layer, leaves_.back(), module));
        if (why.empty()) fits_[module].push_back(&layer);
      }
    }
    CKMAP_RETURN_IF_ERROR(ApplyModuleStatements());
    LayerBindings bindings;
    for (const auto& [module, layers] : fits_) {
      const plan::Layer* layer = Decide(module, layers);
      if (layer != nullptr) CKMAP_RETURN_IF_ERROR(BindModule(*layer, module, bindings));
    }
    return bindings;
  }

  Result<std::string> WhyNotIn(const plan::Layer& layer, const std::string& module) {
    IndexSource();
    return WhyNot(layer, LeavesOf(layer), module);
  }

  std::vector<std::vector<std::string>> NearMisses(const std::vector<size_t>& tensors) {
    IndexSource();
    std::vector<std::vector<Leaf>> leaves;
    for (const plan::Layer& layer : context_.plan.layers()) leaves.push_back(LeavesOf(layer));
    std::vector<std::vector<std::string>> all;
    for (const size_t tensor : tensors) {
      std::vector<std::string>& notes = all.emplace_back();
      const std::string& name = context_.source[tensor].name;
      for (int i = 0; i < context_.plan.layers_size() && notes.size() < kMaxNearLayers; ++i)
        NearMiss(context_.plan.layers(i), leaves[static_cast<size_t>(i)], name, notes);
    }
    return all;
  }

 private:
  void IndexSource() {
    for (size_t i = 0; i < context_.source.size(); ++i) {
      const std::string& name = context_.source[i].name;
      if (context_.visible.InSpace(name)) continue;  // layers are those of the first source
      const size_t at = name.rfind(context_.source_separator);
      modules_[at == std::string::npos ? std::string() : name.substr(0, at)].push_back(i);
      last_segments_[at == std::string::npos ? name : name.substr(at + context_.source_separator.size())].push_back(i);
    }
  }

  // Of the module that holds the tensor as one of the layer's leaves.
  void NearMiss(const plan::Layer& layer, const std::vector<Leaf>& leaves, const std::string& name,
                std::vector<std::string>& notes) const {
    for (const Leaf& leaf : leaves) {
      const bool root = name == leaf.name;
      if (!root && !name.ends_with(context_.source_separator + leaf.name)) continue;
      const std::string module =
          root ? std::string() : name.substr(0, name.size() - leaf.name.size() - context_.source_separator.size());
      const auto why = WhyNotQuite(layer, leaves, module);
      if (!why || why->empty()) return;
      notes.push_back(fmt::format("layer `{}` at {} would fit `{}`, but {}", layer.name(), context_.Where(layer.loc()),
                                  module, *why));
      return;
    }
  }

  std::vector<Leaf> LeavesOf(const plan::Layer& layer) const {
    std::vector<Leaf> leaves;
    const auto add = [&](const plan::Pattern& pattern, bool required) {
      for (const std::vector<size_t>& choices : AllChoices(pattern)) {
        std::string name;
        const plan::Pattern chosen = Choose(pattern, choices);
        for (const plan::Part& part : chosen.parts()) {
          if (!part.has_literal()) return;  // a capture: names are matched when the rule is applied
          name += part.literal();
        }
        leaves.push_back({std::move(name), required});
      }
    };
    for (const plan::Rule& rule : layer.rules()) {
      ForEachName(rule.source(), [&](const plan::Term& term) { add(term.pattern(), !term.optional()); });
    }
    // On the way back there is nothing of what the way there drops.
    for (const plan::Drop& drop : layer.drops()) add(drop.pattern(), !drop.optional() && !context_.plan.reversed());
    return leaves;
  }

  // Modules that hold one of the layer's leaves (the first required one, where there is one).
  std::set<std::string> Candidates(const std::vector<Leaf>& leaves) const {
    std::set<std::string> modules;
    const auto required = std::find_if(leaves.begin(), leaves.end(), [](const Leaf& leaf) { return leaf.required; });
    for (const Leaf& leaf : leaves) {
      if (required != leaves.end() && &leaf != &*required) continue;
      const size_t at = leaf.name.rfind(context_.source_separator);
      const auto found = last_segments_.find(
          at == std::string::npos ? leaf.name : leaf.name.substr(at + context_.source_separator.size()));
      if (found == last_segments_.end()) continue;
      const std::string suffix = context_.source_separator + leaf.name;
      for (const size_t tensor : found->second) {
        const std::string& name = context_.source[tensor].name;
        if (name == leaf.name) {
          modules.insert("");
        } else if (name.ends_with(suffix)) {
          modules.insert(name.substr(0, name.size() - suffix.size()));
        }
      }
    }
    return modules;
  }

  // "" if the layer fits the module. In this order the cheap questions come first.
  Result<std::string> WhyNot(const plan::Layer& layer, const std::vector<Leaf>& leaves,
                             const std::string& module) const {
    CKMAP_ASSIGN_OR_RETURN(const NamePrefix prefix, PrefixOfModule(context_, module));
    std::string why = WhatIsAbsent(leaves, prefix);
    if (why.empty()) why = Stranger(leaves, prefix, module);
    if (why.empty()) why = WhyNotWhen(layer, prefix);
    return why.empty() ? WhyNoRuleFits(layer, prefix) : Result<std::string>(std::move(why));
  }

  // What alone speaks against a layer that the module was meant for: it has the layer's tensors, and the condition
  // holds. "" if it was not, or if it fits.
  Result<std::string> WhyNotQuite(const plan::Layer& layer, const std::vector<Leaf>& leaves,
                                  const std::string& module) const {
    CKMAP_ASSIGN_OR_RETURN(const NamePrefix prefix, PrefixOfModule(context_, module));
    if (!WhatIsAbsent(leaves, prefix).empty() || !WhyNotWhen(layer, prefix).empty()) return std::string();
    std::string why = Stranger(leaves, prefix, module);
    return why.empty() ? WhyNoRuleFits(layer, prefix) : Result<std::string>(std::move(why));
  }

  std::string WhatIsAbsent(const std::vector<Leaf>& leaves, const NamePrefix& prefix) const {
    bool any = false;
    for (const Leaf& leaf : leaves) {
      const bool present = context_.source.Find(prefix.source + leaf.name).has_value();
      any = any || present;
      if (leaf.required && !present) return fmt::format("there is no `{}{}`", prefix.source, leaf.name);
    }
    return any ? "" : "it holds none of the layer's tensors";
  }

  std::string Stranger(const std::vector<Leaf>& leaves, const NamePrefix& prefix, const std::string& module) const {
    const auto direct = modules_.find(module);
    if (direct == modules_.end()) return {};
    for (const size_t tensor : direct->second) {
      const std::string_view name = std::string_view(context_.source[tensor].name).substr(prefix.source.size());
      const bool named = std::any_of(leaves.begin(), leaves.end(), [&](const Leaf& leaf) { return leaf.name == name; });
      if (!named) return fmt::format("it also holds `{}`, which the layer does not name", name);
    }
    return {};
  }

  std::string WhyNotWhen(const plan::Layer& layer, const NamePrefix& prefix) const {
    if (!layer.has_when()) return {};
    const Captures none;
    auto when = EvaluateBool(layer.when(), ApplicationScope(context_, prefix, none));
    if (!when) return when.error().message();
    return *when ? "" : "its `when` does not hold";
  }

  Result<std::string> WhyNoRuleFits(const plan::Layer& layer, const NamePrefix& prefix) const {
    for (const plan::Rule& rule : layer.rules()) {
      CKMAP_ASSIGN_OR_RETURN(std::string why, WhyRuleDoesNotFit(context_, rule, prefix));
      if (!why.empty()) return why;
    }
    return std::string();
  }

  Result<void> ApplyModuleStatements() {
    if (context_.plan.modules().empty()) return {};
    std::set<std::string> paths;  // every module, with tensors of its own or deeper ones
    for (const auto& [module, tensors] : modules_) {
      for (size_t at = module.size(); at != std::string::npos && at > 0;
           at = module.rfind(context_.source_separator, at - 1)) {
        paths.insert(module.substr(0, at));
        if (at < context_.source_separator.size()) break;
      }
    }
    for (const plan::ModuleIs& statement : context_.plan.modules()) {
      const auto layer = std::find_if(context_.plan.layers().begin(), context_.plan.layers().end(),
                                      [&](const plan::Layer& l) { return l.name() == statement.layer(); });
      CKMAP_CHECK(layer != context_.plan.layers().end());  // the plan was validated
      for (const std::vector<size_t>& choices : AllChoices(statement.module())) {
        CKMAP_ASSIGN_OR_RETURN(const CompiledName pattern,
                               CompiledName::Compile(Choose(statement.module(), choices),
                                                     {context_.source_separator, context_.variables}));
        for (const std::string& path : paths) {
          Captures captures;
          if (pattern.Match(path, context_.variables, captures)) {
            CKMAP_RETURN_IF_ERROR(Force(statement, *layer, path, captures));
          }
        }
      }
    }
    return {};
  }

  Result<void> Force(const plan::ModuleIs& statement, const plan::Layer& layer, const std::string& module,
                     const Captures& captures) {
    CKMAP_ASSIGN_OR_RETURN(const NamePrefix prefix, PrefixOfModule(context_, module));
    if (statement.has_when()) {
      CKMAP_ASSIGN_OR_RETURN(const bool when,
                             EvaluateBool(statement.when(), ApplicationScope(context_, prefix, captures)));
      if (!when) return {};
    }
    CKMAP_ASSIGN_OR_RETURN(const std::string why, WhyNot(layer, LeavesOf(layer), module));
    if (!why.empty()) {
      issues_.push_back({"CK1222",
                         IssueSeverity::kError,
                         module,
                         fmt::format("module `{}` is said to be `{}`, but {}", module, layer.name(), why),
                         {fmt::format("the statement is at {}", context_.Where(statement.loc()))},
                         "correct the layer's name, or the pattern of modules"});
      return {};
    }
    fits_[module] = {&layer};
    return {};
  }

  // The layer of the lowest level that fits; two of one level are an error.
  const plan::Layer* Decide(const std::string& module, const std::vector<const plan::Layer*>& layers) {
    const plan::Layer* best = nullptr;
    const plan::Layer* rival = nullptr;
    for (const plan::Layer* layer : layers) {
      if (best == nullptr || context_.Level(layer->loc()) < context_.Level(best->loc())) {
        best = layer;
        rival = nullptr;
      } else if (context_.Level(layer->loc()) == context_.Level(best->loc())) {
        rival = layer;
      }
    }
    if (rival == nullptr) return best;
    issues_.push_back({"CK1212",
                       IssueSeverity::kError,
                       module,
                       fmt::format("module `{}` fits two layers: `{}` and `{}`", module, best->name(), rival->name()),
                       {fmt::format("`{}` is at {}, `{}` at {}", best->name(), context_.Where(best->loc()),
                                    rival->name(), context_.Where(rival->loc()))},
                       fmt::format("say which: module \"{}\" is {};", module, best->name())});
    return nullptr;
  }

  Result<void> BindModule(const plan::Layer& layer, const std::string& module, LayerBindings& bindings) {
    CKMAP_ASSIGN_OR_RETURN(const NamePrefix prefix, PrefixOfModule(context_, module));
    static const std::vector<size_t> kNone;
    const auto direct = modules_.find(module);
    const std::vector<size_t>& leaves = direct == modules_.end() ? kNone : direct->second;
    for (const plan::Rule& rule : layer.rules()) {
      CKMAP_ASSIGN_OR_RETURN(auto instances, BindRuleInModule(context_, layer, rule, prefix, leaves));
      for (RuleInstance& instance : instances) bindings.instances.push_back(std::move(instance));
    }
    const Captures none;
    const ApplicationScope scope(context_, prefix, none);
    for (const plan::Drop& drop : layer.drops()) {
      if (drop.has_when()) {
        CKMAP_ASSIGN_OR_RETURN(const bool when, EvaluateBool(drop.when(), scope));
        if (!when) continue;
      }
      for (const std::vector<size_t>& choices : AllChoices(drop.pattern())) {
        CKMAP_ASSIGN_OR_RETURN(const std::string name, Instantiate(drop.pattern(), choices, scope, none));
        const auto found = context_.source.Find(prefix.source + name);
        if (found) bindings.drops.push_back({*found, &drop, &layer, prefix});
      }
    }
    return {};
  }

  const BindContext& context_;
  std::vector<Issue>& issues_;
  std::map<std::string, std::vector<size_t>> modules_;  // module path → tensors directly in it
  std::unordered_map<std::string, std::vector<size_t>> last_segments_;
  std::vector<std::vector<Leaf>> leaves_;
  std::map<std::string, std::vector<const plan::Layer*>> fits_;
};

}  // namespace

Result<NamePrefix> PrefixOfModule(const BindContext& context, const std::string& module) {
  NamePrefix prefix;
  if (!module.empty()) prefix.source = module + context.source_separator;
  CKMAP_ASSIGN_OR_RETURN(const Renamed target, context.renamer.Apply(module));
  // Where the target has no such module, its leaves are none of the target's.
  const std::string name = target.met || module.empty() ? target.name : "?";
  if (!name.empty()) prefix.target = name + context.target_separator;
  return prefix;
}

Result<LayerBindings> BindLayers(const BindContext& context, std::vector<Issue>& issues) {
  return LayerBinder(context, issues).Run();
}

std::vector<std::vector<std::string>> NearMissesOfLayers(const BindContext& context,
                                                         const std::vector<size_t>& tensors) {
  std::vector<Issue> issues;
  return LayerBinder(context, issues).NearMisses(tensors);
}

Result<std::string> WhyLayerDoesNotFit(const BindContext& context, const plan::Layer& layer,
                                       const std::string& module) {
  std::vector<Issue> issues;
  return LayerBinder(context, issues).WhyNotIn(layer, module);
}

}  // namespace ckmap
