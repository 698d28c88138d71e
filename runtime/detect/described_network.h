// The network that a pack describes: the names and shapes that its rules give for a source. No spec of the target need
// be written then.
#pragma once

#include <optional>
#include <string>

#include "runtime/base/result.h"
#include "runtime/bind/bind.h"
#include "runtime/detect/pack_facts.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

struct DescribedNetwork {
  std::optional<Manifest> target;
  std::vector<Issue> issues;  // why there is none
};

// kUsage if pack.yaml does not say that the migration describes its target.
Result<DescribedNetwork> DescribeNetwork(const Plan& plan, const PackFacts& facts, const Manifest& source,
                                         const BindOptions& options);

}  // namespace ckmap
