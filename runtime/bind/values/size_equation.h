// A size in brackets that is an expression with one open name, `[4 * H, I]`: the name is what makes it the size of the
// axis.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/bind/values/value.h"

namespace ckmap {

struct SizeEquation {
  std::string name;              // the open one
  std::optional<int64_t> value;  // that solves it
  std::string why;               // else: "4 * H is 10 for no H"
};

// `expr == size`, solved through +, -, * and / for the one name of a size in it that `scope` does not know.
// nullopt: there is no such name, it stands twice, or its place in the expression cannot be solved for.
std::optional<SizeEquation> SolveSize(const plan::Expr& expr, int64_t size, const Scope& scope);

}  // namespace ckmap
