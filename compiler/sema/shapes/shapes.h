// How many tensors flow through a rule, in which lists, and their shapes as far as the brackets say.
#pragma once

#include "compiler/sema/expr.h"

namespace ckmap {

// Reports where both sides name different numbers of tensors, or where shapes cannot fit whatever
// the checkpoint holds. What only a checkpoint can tell is left to bind. True: the shapes that come out
// and those that are written are equal as polynomials, whatever the parameters are.
bool CheckShapes(const TypedRule& rule, const VariableTable& variables, DiagnosticSink& sink);

}  // namespace ckmap
