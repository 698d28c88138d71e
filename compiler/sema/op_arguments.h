// What the arguments of one call must be to each other, beyond their types.
#pragma once

#include "compiler/sema/expr.h"

namespace ckmap {

// False: something was reported.
bool CheckArguments(const ast::OpCall& call, const OpSpec& spec, const TypedOp& op, const VariableTable& variables,
                    DiagnosticSink& sink);

// The place of a part of a text literal; the whole literal if escapes make places differ.
Span InsideText(const TypedExpr& literal, size_t at, size_t length);

}  // namespace ckmap
