// Derived sources: what the rules written `-> source` make of the files' tensors.
#pragma once

#include <vector>

#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// Applies the plan's rules `-> source`, level by level: those of a pack before those of the file that uses it. What
// fails, and names that are taken, are added to `issues`; `visible` is then of no use.
Result<void> DeriveSources(const plan::Plan& plan, const Manifest& target, const BoundVariables& variables,
                           const Renamer& renamer, VisibleSource& visible, std::vector<Issue>& issues);

}  // namespace ckmap
