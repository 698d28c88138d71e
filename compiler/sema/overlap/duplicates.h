// What is said twice, and plain collisions of literal names.
#pragma once

#include "compiler/diag/diagnostic.h"
#include "compiler/sema/rule_set.h"

namespace ckmap {

// Whether two rules say the same.
bool SameRule(const TypedRule& a, const TypedRule& b);

void CheckDuplicates(const RuleSet& rules, DiagnosticSink& sink);

}  // namespace ckmap
