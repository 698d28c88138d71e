// A manifest as modules. Private to compiler/suggest.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor/manifest.h"

namespace ckmap::suggest {

using Index = std::vector<int64_t>;

struct Leaf {
  std::string raw;  // "gamma"; empty: the module is the tensor
  size_t tensor = 0;
};

// A module and its tensors by what they are in either framework: "w" (weight, gamma, …), "b", "mean", "var".
struct Module {
  std::string path;
  std::string form;  // its path with # for numbers
  Index index;       // those numbers
  std::map<std::string, Leaf> leaves;
};

// Modules of one form, by their numbers.
struct Group {
  std::string form;
  std::vector<size_t> modules;
};

struct Fingerprint;

struct Network {
  const Manifest* manifest = nullptr;
  // Of each tensor, if both checkpoints are there. With them, values say what is which.
  const std::vector<Fingerprint>* prints = nullptr;
  std::vector<Module> modules;  // in the manifest's order
  std::vector<Group> groups;    // in the order of their first modules

  const TensorInfo& Tensor(const Leaf& leaf) const { return (*manifest)[leaf.tensor]; }
};

// What a leaf is in both frameworks, "w" of weight and gamma; empty: it is no leaf, but a tensor that a module holds by
// its own name.
std::string KindOf(std::string_view leaf);

// `skipped`: tensors that are left out.
Network ReadNetwork(const Manifest& manifest, const std::vector<bool>& skipped,
                    const std::vector<Fingerprint>* prints = nullptr);

// Adds each tensor that is not used as a module of its own, in groups of their own.
void AddTensors(Network& network, const std::vector<bool>& used);

}  // namespace ckmap::suggest
