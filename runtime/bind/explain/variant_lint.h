// What no shape check can see: rules that another reading of the same shapes would fit as well. A square matrix fits
// its own transpose, equal parts fit in any order, sizes that are cut fit with other sizes. Each rule is reported once
// (CK1230), unless it was confirmed with `exactly`, or names, layers and its own other tensors tell that it is right.
#pragma once

#include <vector>

#include "runtime/bind/explain/tensor_links.h"
#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// One note for each rule, rename or pass-through, in a stable order. `issues` holds the errors, to which they are added.
void ReportVariants(const BindContext& context, const TensorLinks& links, std::vector<Issue>& issues);

}  // namespace ckmap
