// Layers: which modules of the source each one fits, and its rules applied in each of them.
#pragma once

#include <string>
#include <vector>

#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

struct LayerDrop {
  size_t source = 0;
  const plan::Drop* drop = nullptr;
  const plan::Layer* layer = nullptr;
  NamePrefix prefix;  // of the module
};

// What stands in front of a module's leaves, on both sides.
Result<NamePrefix> PrefixOfModule(const BindContext& context, const std::string& module);

struct LayerBindings {
  std::vector<RuleInstance> instances;
  std::vector<LayerDrop> drops;
};

// Modules that two layers of one level fit are reported (CK1212); so is a `module … is` whose layer
// does not fit, with the reason (CK1222).
Result<LayerBindings> BindLayers(const BindContext& context, std::vector<Issue>& issues);

// For source tensors that nothing uses: layers that their modules have the tensors and the condition of, with what
// alone speaks against them.
std::vector<std::vector<std::string>> NearMissesOfLayers(const BindContext& context,
                                                         const std::vector<size_t>& tensors);

// "" if the layer fits the module, else why not.
Result<std::string> WhyLayerDoesNotFit(const BindContext& context, const plan::Layer& layer, const std::string& module);

}  // namespace ckmap
