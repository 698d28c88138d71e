// Calls of operations against the table of operations (runtime/ops/op_table.h).
#pragma once

#include "compiler/sema/expr.h"

namespace ckmap {

// Names positional arguments, checks presence and types. `spec` of the result is null if the call
// cannot be used; all that is wrong was reported.
TypedOp CheckOp(const ast::OpCall& call, VariableTable& variables, size_t unit, RuleScope& scope, DiagnosticSink& sink);

}  // namespace ckmap
