// Packs that already say what a draft would have to find out: those that bind completely. Private to compiler/suggest.
#pragma once

#include <string>
#include <vector>

#include "compiler/suggest/suggest.h"
#include "runtime/bind/bound_plan.h"

namespace ckmap::suggest {

struct FittingPack {
  std::string name;  // "llama/hf2mindformers"
  BoundPlan plan;
  std::vector<std::string> decisions;  // parameters and other packs by which other elements would go to a target
};

// The pack that binds, if there is one. `needing`: packs that may fit and lack a parameter, with its name.
struct FittingPacks {
  std::vector<FittingPack> fitting;  // at most one
  std::vector<std::string> needing;  // "qwen/hf2mcore_moe"
};
FittingPacks FindFittingPack(const Manifest& source, const Manifest& target, const SuggestOptions& options);

}  // namespace ckmap::suggest
