// Can a rule be run from right to left?
#pragma once

#include "compiler/sema/expr.h"

namespace ckmap {

struct Obstacle {
  Span span;
  std::string reason;  // "`cast` cannot be undone"
  std::string help;
};

// What stands in the way of undoing the rule; nullopt: nothing.
std::optional<Obstacle> FindObstacle(const TypedRule& rule, const VariableTable& variables);

}  // namespace ckmap
