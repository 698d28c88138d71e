// What is said twice, and plain collisions of literal names.
#pragma once

#include "compiler/diag/diagnostic.h"
#include "compiler/sema/rule_set.h"

namespace ckmap {

void CheckDuplicates(const RuleSet& rules, DiagnosticSink& sink);

}  // namespace ckmap
