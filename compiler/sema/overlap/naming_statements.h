// Statements that name tensors one by one: init, place, shard, drop and rename.
#pragma once

#include "compiler/sema/overlap/name_search.h"

namespace ckmap {

// Reports two of one file that name one tensor where neither says more of its name, and those that change nothing.
void CheckNamingStatements(const RuleSet& rules, const VariableTable& variables, const Languages& languages,
                           NameSearch& names, DiagnosticSink& sink);

}  // namespace ckmap
