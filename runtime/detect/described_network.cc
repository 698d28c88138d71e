#include "runtime/detect/described_network.h"

#include <map>
#include <string_view>
#include <utility>

namespace ckmap {
namespace {

constexpr size_t kConv1d = 3;  // axes of its weight

// The tensors directly in a module, by their leaf names.
using Module = std::map<std::string, size_t, std::less<>>;

std::pair<std::string, std::string> SplitName(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

// What mindspore.nn calls the leaf of a module whose tensors have the names of torch.nn; "" for what it lacks. A weight
// of one axis is that of a norm, and one alone in a module whose name ends so that of an embedding.
std::string NnLeaf(const Manifest& network, const std::string& path, const Module& module, const std::string& leaf) {
  const bool statistics = module.contains("running_mean");
  const bool embedding = module.size() == 1 && (path.ends_with("embedding") || path.ends_with("embeddings"));
  if (leaf == "weight" && embedding) return "embedding_table";
  if (leaf == "running_mean") return "moving_mean";
  if (leaf == "running_var") return "moving_variance";
  if (leaf == "num_batches_tracked") return "";
  const auto weight = module.find("weight");
  const bool norm = statistics || (weight != module.end() && network[weight->second].shape.size() == 1);
  if (norm && leaf == "weight") return "gamma";
  if (norm && leaf == "bias") return "beta";
  return leaf;
}

Manifest WithNnLayers(const Manifest& network) {
  std::map<std::string, Module> modules;
  for (size_t i = 0; i < network.size(); ++i) {
    auto [path, leaf] = SplitName(network[i].name);
    modules[path].emplace(std::move(leaf), i);
  }
  Manifest named;
  named.framework = network.framework;
  for (const TensorInfo& tensor : network.tensors()) {
    const auto [path, leaf] = SplitName(tensor.name);
    const std::string nn = NnLeaf(network, path, modules.at(path), leaf);
    if (nn.empty()) continue;
    TensorInfo renamed = tensor;
    renamed.name = path.empty() ? nn : path + "." + nn;
    // MindSpore computes a Conv1d in two dimensions.
    if (leaf == "weight" && renamed.shape.size() == kConv1d) renamed.shape.insert(renamed.shape.begin() + 2, 1);
    named.Add(std::move(renamed));
  }
  return named;
}

}  // namespace

Result<DescribedNetwork> DescribeNetwork(const Plan& plan, const PackFacts& facts, const Manifest& source,
                                         const BindOptions& options) {
  if (!facts.describes) {
    return Error(ErrorCode::kUsage, "the pack does not describe its target: give the network with --target");
  }
  CKMAP_ASSIGN_OR_RETURN(TargetDescription description, DescribeTarget(plan, source, options));
  DescribedNetwork network{std::move(description.target), std::move(description.issues)};
  if (network.target && facts.nn_layers) network.target = WithNnLayers(*network.target);
  return network;
}

}  // namespace ckmap
