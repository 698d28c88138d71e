// One application of one rule: its source names are looked up, its shapes bound, its operations
// applied, and the result dealt out to its target names.
#pragma once

#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// nullopt if the rule's `when` does not hold (or an optional target is absent): no application then.
std::optional<RuleInstance> Apply(const BindContext& context, const plan::Rule& rule, const NamePrefix& prefix,
                                  const Application& application);

// The left side alone; issues say what is missing or of another shape.
Node BuildSource(const BindContext& context, const plan::Rule& rule, const NamePrefix& prefix,
                 const Application& application, std::vector<Issue>& issues);

}  // namespace ckmap
