// Types of expressions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "compiler/sema/scope.h"

namespace ckmap {

// Types the expressions of one file, or of one rule in it.
class ExprTyper {
 public:
  // `rule` may be null: no captures and dims are in scope then.
  ExprTyper(VariableTable& variables, size_t unit, RuleScope* rule, DiagnosticSink& sink)
      : variables_(variables), unit_(unit), rule_(rule), sink_(sink) {}

  // What is wrong is reported and becomes kInvalid, which fits everywhere.
  TypedExpr Type(const ast::Expr& expr);
  // The same, and a report unless the value is of type `want` (an integer is a number too).
  // `what` names the value in the message: "the condition".
  TypedExpr Expect(const ast::Expr& expr, ValueType want, std::string_view what);
  // The name of one tensor, with captures of the rule: in a layer a leaf name, bare or quoted; elsewhere a quoted full
  // name. `wanted_by` names in messages what wants it.
  TypedExpr TypeTensorName(const ast::Expr& expr, std::string_view wanted_by);
  // A parameter or value by its name here; nullptr if there is none. It does not count as used.
  const VariableTable::Entry* FindVariable(std::string_view name) { return variables_.Lookup(unit_, name); }

 private:
  TypedExpr TypeName(const ast::NameRef& ref, Span span);
  TypedExpr TypeUnary(const ast::Unary& unary, Span span);
  TypedExpr TypeBinary(const ast::Binary& binary, Span span);
  TypedExpr TypeConditional(const ast::Conditional& conditional, Span span);
  TypedExpr TypeCall(const ast::CallExpr& call, Span span);
  std::optional<TypedPart> TypeNamePart(const ast::PatternPart& part);
  bool WantNumber(const TypedExpr& expr, std::string_view op);
  TypedExpr Mistyped(DiagnosticKind kind, Span span, std::string message, std::string help = "");

  VariableTable& variables_;
  size_t unit_;
  RuleScope* rule_;
  DiagnosticSink& sink_;
};

// Names that an expression uses, each as often as it stands there, without deciding what they are.
void NamesOf(const ast::Expr& expr, std::vector<std::string>& names);

// Lets and fixed params are looked into; a param that may still change is not constant. nullopt also
// for arithmetic that has no value (x / 0).
// `captures`: values of captures of the rule, by name; others have none. `and`, `or` and `if` need only the operands
// that decide.
using CaptureValues = std::map<std::string, Constant, std::less<>>;
std::optional<Constant> EvaluateConstant(const TypedExpr& expr, const VariableTable& variables,
                                         const CaptureValues* captures = nullptr);
std::optional<int64_t> EvaluateInt(const TypedExpr& expr, const VariableTable& variables,
                                   const CaptureValues* captures = nullptr);

// Integer arithmetic that a plan may hold. nullopt: overflow, division by zero, or `/` that
// leaves a remainder.
std::optional<int64_t> IntegerOp(std::string_view op, int64_t a, int64_t b);

}  // namespace ckmap
