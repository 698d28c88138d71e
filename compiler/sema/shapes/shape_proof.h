// Sizes that parameters make, as equations: whether they can hold for parameters that the asserts allow,
// within a rule and where two rules or packs give sizes of one tensor. Decided by trying small values, so that
// what fails is shown by the smallest values for which it does: "heads=2, hidden=6".
#pragma once

#include <vector>

#include "compiler/sema/rule_set.h"
#include "compiler/sema/scope.h"

namespace ckmap {

// `order`: the entries of `variables`, each after those that it uses.
void ProveShapes(const RuleSet& rules, const VariableTable& variables, const std::vector<size_t>& order,
                 DiagnosticSink& sink);

}  // namespace ckmap
