// What a dropped tensor is said to hold (`drop … equals …`), as a check for the executor.
#pragma once

#include <string>
#include <vector>

#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// Adds to `checks` that source tensor `source` holds what `drop` says of it, or to `issues` why it cannot be compared
// (CK1218). `prefix` and `captures` are those that the drop was applied with.
void CheckContents(const BindContext& context, const plan::Drop& drop, size_t source, const NamePrefix& prefix,
                   const Captures& captures, std::vector<ValueCheck>& checks, std::vector<Issue>& issues);

}  // namespace ckmap
