// Which packs take a source to a target: each is tried, which means bound. The one mechanism behind `ckmapc suggest`,
// `ckmap plan --detect` and `ckmap migrate`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/bind/bind.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/detect/pack_facts.h"
#include "runtime/plan/plan_io.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

struct PackCandidate {
  std::string name;  // "llama/hf2mindformers"
  Plan plan;
  PackFacts facts = {};
};

// A pack that binds completely: each tensor of the target is proved to be made, each of the source to be used or
// dropped by name.
struct PackFit {
  std::string name;
  std::string library;  // the target's, as pack.yaml names it; may be empty
  BoundPlan plan;
  // By what other elements would go to a target: parameters that nobody gave, which fit with another value, too.
  std::vector<std::string> decisions;
  bool differs = false;     // it moves other elements than the first that fits
  bool described = false;   // the target is what the pack itself describes
  bool recognised = false;  // pack.yaml lists the source's names, and they are these
};

struct PackMisfit {
  std::string name;
  std::string reason;  // one line
  std::string lacks;   // a parameter without a value is all that is wrong; else empty
};

struct PackSearch {
  std::vector<PackFit> fitting;    // the likeliest first
  std::vector<PackMisfit> others;  // by name
};

struct SearchOptions {
  // Of its defines, each pack gets those that it has. Where one fits that has them all, the others do not fit.
  BindOptions bind = {};
  // Only packs by which at least one tensor gets another name or other elements than its own.
  bool only_changes = false;
  std::string library = {};  // only packs to this library; empty: to any
};

// Without a target each pack is bound to the network that it describes (DescribeNetwork), if it does and if the source
// has the names that pack.yaml lists.
PackSearch SearchPacks(const std::vector<PackCandidate>& candidates, const Manifest& source,
                       const std::optional<Manifest>& target, const SearchOptions& options);

// `options` without the defines that the plan has no parameter for: they are other packs'.
BindOptions OptionsOf(const Plan& plan, const BindOptions& options);

// The elements that each target is made of, one text a tensor in the order of the targets' names: two plans with equal
// texts do the same.
std::vector<std::string> ContentsOf(const BoundPlan& plan);

}  // namespace ckmap
