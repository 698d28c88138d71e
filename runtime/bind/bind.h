// Bind: plan × source manifest × target manifest → BoundPlan, or everything that does not fit.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/bind/issue.h"
#include "runtime/bind/source_facts.h"
#include "runtime/plan/plan_io.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

struct BindOptions {
  std::map<std::string, std::string> defines;  // -D name=value, as typed
  std::string config_json;                     // text of config.json; empty: none given
  std::string config_path;                     // for messages
  PlacementOptions placement;
  SourceFacts source = {};
  // Whether what fits and may be meant otherwise is looked for: CK1230 and CK1234. Who only tries whether rules fit needs
  // none of it.
  bool remarks = true;
};

struct BindResult {
  std::optional<BoundPlan> plan;  // set iff no issue is an error
  std::vector<Issue> issues;      // all that was found, errors first, in a stable order
};

// An Error only for what is no question of fit (a config that is not JSON, a limit).
Result<BindResult> Bind(const Plan& plan, Manifest source, Manifest target, const BindOptions& options);

// The network that the plan's statements describe for this source, whatever network there is: what the rules write, and
// all else under its renamed name, in the dtypes that it has then. Questions about the target (`target_has`) are answered
// as of an empty one.
struct TargetDescription {
  std::optional<Manifest> target;  // set iff no issue is an error
  std::vector<Issue> issues;
};
Result<TargetDescription> DescribeTarget(const Plan& plan, Manifest source, const BindOptions& options);

}  // namespace ckmap
