// Integer expressions as polynomials.
#pragma once

#include <optional>

#include "compiler/sema/expr.h"
#include "compiler/sema/shapes/polynomial.h"

namespace ckmap {

// nullopt: not known as a polynomial. Params, captures and sizes of the rule are its names.
std::optional<Polynomial> SizeOf(const TypedExpr& expr, const VariableTable& variables);

// Notes what a typed variable is worth; those that it uses come before.
void Settle(VariableTable::Entry& entry, const VariableTable& variables);

}  // namespace ckmap
