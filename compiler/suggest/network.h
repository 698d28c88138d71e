// A manifest as modules. Private to compiler/suggest.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor/manifest.h"

namespace ckmap::suggest {

struct Leaf {
  std::string raw;  // "gamma"; empty: the module is the tensor
  size_t tensor = 0;
};

// A module and its tensors by what they are in either framework: "w" (weight, gamma, …), "b", "mean", "var".
struct Module {
  std::string path;
  std::string form;            // its path with # for numbers
  std::vector<int64_t> index;  // those numbers
  std::map<std::string, Leaf> leaves;
};

// Modules of one form, by their numbers.
struct Group {
  std::string form;
  std::vector<size_t> modules;
};

struct Network {
  const Manifest* manifest = nullptr;
  std::vector<Module> modules;  // in the manifest's order
  std::vector<Group> groups;    // in the order of their first modules

  const TensorInfo& Tensor(const Leaf& leaf) const { return (*manifest)[leaf.tensor]; }
};

// `skipped`: tensors that are left out.
Network ReadNetwork(const Manifest& manifest, const std::vector<bool>& skipped);

// Words of a form, as the field uses them: "self_attn.q_proj" and "attention.wq" both hold {attention, q}.
std::vector<std::string> WordsOf(std::string_view form);
// 0 to 1: how alike two forms are, the last segments counting most.
double Similarity(std::string_view a, std::string_view b);

}  // namespace ckmap::suggest
