// Values of expressions, and their evaluation: parameters, captures and sizes are looked up in a Scope.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "plan.pb.h"
#include "runtime/base/result.h"
#include "runtime/tensor/number.h"

namespace ckmap {

using Value = std::variant<std::monostate, int64_t, double, bool, std::string>;

std::string FormatValue(const Value& value);

// Where names get their values. Each function gives monostate for what it does not know.
class Scope {
 public:
  virtual ~Scope() = default;
  virtual Value Variable(const std::string& name) const = 0;
  virtual Value Capture(const std::string& /*name*/) const { return {}; }
  virtual Value Dim(const std::string& /*name*/) const { return {}; }
  // source_has, target_rank, …: `name` is the argument pattern, `args` the other arguments.
  virtual Result<Value> Lookup(const std::string& function, const plan::Pattern& name,
                               const std::vector<Value>& args) const;
};

// Errors (kMismatch) say what was computed and why it cannot be: a division that leaves a rest, an
// overflow, an integer that would be rounded because the other operand is a float, a name without a value.
Result<Value> Evaluate(const plan::Expr& expr, const Scope& scope);
Result<int64_t> EvaluateInt(const plan::Expr& expr, const Scope& scope);
Result<Number> EvaluateNumber(const plan::Expr& expr, const Scope& scope);  // an integer stays one
Result<bool> EvaluateBool(const plan::Expr& expr, const Scope& scope);

}  // namespace ckmap
