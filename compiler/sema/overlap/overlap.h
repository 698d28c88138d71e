// Proofs over names, with no checkpoint at hand: rules that write one target, rules that can never
// apply, maps that are not one to one. Each comes with concrete names as its witness.
#pragma once

#include "compiler/sema/expr.h"

namespace ckmap {

void CheckOverlaps(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink);

}  // namespace ckmap
