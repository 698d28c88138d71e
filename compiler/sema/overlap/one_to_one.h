// That a rule makes no one name of two: two names that collide are shown.
#pragma once

#include "compiler/sema/rule_set.h"
#include "compiler/sema/scope.h"

namespace ckmap {

void CheckOneToOne(const RuleSet& rules, const VariableTable& variables, DiagnosticSink& sink);

}  // namespace ckmap
