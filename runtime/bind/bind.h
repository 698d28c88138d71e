// Bind: plan × source manifest × target manifest → BoundPlan, or everything that does not fit.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/bind/issue.h"
#include "runtime/plan/plan_io.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

struct BindOptions {
  std::map<std::string, std::string> defines;  // -D name=value, as typed
  std::string config_json;                     // text of config.json; empty: none given
  std::string config_path;                     // for messages
  PlacementOptions placement;
};

struct BindResult {
  std::optional<BoundPlan> plan;  // set iff no issue is an error
  std::vector<Issue> issues;      // all that was found, errors first, in a stable order
};

// An Error only for what is no question of fit (a config that is not JSON, a limit).
Result<BindResult> Bind(const Plan& plan, Manifest source, Manifest target, const BindOptions& options);

}  // namespace ckmap
