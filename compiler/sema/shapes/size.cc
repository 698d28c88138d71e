#include "compiler/sema/shapes/size.h"

namespace ckmap {

std::optional<Polynomial> SizeOf(const TypedExpr& expr, const VariableTable& variables) {
  if (const auto constant = EvaluateInt(expr, variables)) return Polynomial(*constant);
  switch (expr.kind) {
    case TypedExpr::Kind::kDim:
      return Polynomial::Symbol(expr.text, true);
    case TypedExpr::Kind::kCapture:
      return Polynomial::Symbol("{" + expr.text + "}", false);
    case TypedExpr::Kind::kVariable: {
      const VariableTable::Entry* entry = variables.FindQualified(expr.text);
      return entry != nullptr && entry->size ? entry->size : Polynomial::Symbol(expr.text, false);
    }
    case TypedExpr::Kind::kCall:
      break;
    default:
      return std::nullopt;
  }
  if (expr.args.empty() || expr.args.size() > 2) return std::nullopt;
  const std::optional<Polynomial> left = SizeOf(expr.args[0], variables);
  if (!left) return std::nullopt;
  if (expr.text == "neg") return Polynomial::Multiply(*left, Polynomial(-1));
  const std::optional<Polynomial> right = expr.args.size() == 2 ? SizeOf(expr.args[1], variables) : std::nullopt;
  if (!right) return std::nullopt;
  if (expr.text == "+") return Polynomial::Add(*left, *right);
  if (expr.text == "-") return Polynomial::Add(*left, *right, -1);
  if (expr.text == "*") return Polynomial::Multiply(*left, *right);
  if (expr.text == "/") return Polynomial::Divide(*left, *right);
  return std::nullopt;
}

void Settle(VariableTable::Entry& entry, const VariableTable& variables) {
  const TypedVariable& variable = entry.variable;
  entry.constant.reset();
  entry.size.reset();
  if (!variable.value || (variable.is_param && !variable.fixed)) return;
  entry.constant = EvaluateConstant(*variable.value, variables);
  if (variable.type == ValueType::kInt) entry.size = SizeOf(*variable.value, variables);
}

}  // namespace ckmap
