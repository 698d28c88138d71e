// What explains many issues of a bind at once. Hypotheses are tried: each changes the plan, a manifest or a parameter,
// and what leaves the fewest errors is a cause. The search is greedy and bounded in time.
#pragma once

#include "runtime/bind/bind.h"
#include "runtime/causes/cause.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {

struct CauseOptions {
  bool source_has_roots = false;  // the source is a torch file: `--root` names a dict inside it
  double seconds = 3;             // of trying; 0: causes are not looked for
};

// `issues`: of Bind(plan, source, target, bind). Nothing is found where none of them is an error.
Causes FindCauses(const Plan& plan, const Manifest& source, const Manifest& target, const BindOptions& bind,
                  const std::vector<Issue>& issues, const CauseOptions& options = {});

}  // namespace ckmap
