// Expressions whose value is known without a config or a checkpoint.
#include <cmath>

#include "compiler/sema/expr.h"
#include "runtime/tensor/number.h"

namespace ckmap {
namespace {

int64_t FloorDivide(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

template <typename T>
std::optional<Constant> Compare(std::string_view op, const T& a, const T& b) {
  if (op == "==") return a == b;
  if (op == "!=") return a != b;
  if (op == "<") return a < b;
  if (op == "<=") return a <= b;
  if (op == ">") return a > b;
  if (op == ">=") return a >= b;
  return std::nullopt;
}

// Beside a float. Nothing for an integer that this would round: the binder reports it.
std::optional<double> Real(const Constant& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return ExactDouble(*integer);
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return std::nullopt;
}

std::optional<Constant> Binary(std::string_view op, const Constant& a, const Constant& b) {
  const auto* left = std::get_if<int64_t>(&a);
  const auto* right = std::get_if<int64_t>(&b);
  if (left != nullptr && right != nullptr) {
    if (auto compared = Compare(op, *left, *right)) return compared;
    const std::optional<int64_t> value = IntegerOp(op, *left, *right);
    return value ? std::optional<Constant>(*value) : std::nullopt;
  }
  if (a.index() == b.index() && std::holds_alternative<std::string>(a))
    return Compare(op, std::get<std::string>(a), std::get<std::string>(b));
  if (a.index() == b.index() && std::holds_alternative<bool>(a))
    return Compare(op, std::get<bool>(a), std::get<bool>(b));
  const std::optional<double> x = Real(a), y = Real(b);
  if (!x || !y) return std::nullopt;
  if (auto compared = Compare(op, *x, *y)) return compared;
  std::optional<double> value;
  if (op == "+") value = *x + *y;
  if (op == "-") value = *x - *y;
  if (op == "*") value = *x * *y;
  if (op == "/" && *y != 0) value = *x / *y;
  return value && std::isfinite(*value) ? std::optional<Constant>(*value) : std::nullopt;
}

std::optional<Constant> Logic(const TypedExpr& expr, const VariableTable& variables, const CaptureValues* captures) {
  const bool conjunction = expr.text == "and";
  bool all_known = true;
  for (const TypedExpr& arg : expr.args) {
    const std::optional<Constant> value = EvaluateConstant(arg, variables, captures);
    const bool* known = value ? std::get_if<bool>(&*value) : nullptr;
    if (known == nullptr) {
      all_known = false;
    } else if (*known != conjunction) {
      return *known;
    }
  }
  return all_known ? std::optional<Constant>(conjunction) : std::nullopt;
}

}  // namespace

std::optional<int64_t> IntegerOp(std::string_view op, int64_t a, int64_t b) {
  int64_t value = 0;
  if (op == "+") return __builtin_add_overflow(a, b, &value) ? std::nullopt : std::optional(value);
  if (op == "-") return __builtin_sub_overflow(a, b, &value) ? std::nullopt : std::optional(value);
  if (op == "*") return __builtin_mul_overflow(a, b, &value) ? std::nullopt : std::optional(value);
  if (b == 0 || (a == INT64_MIN && b == -1)) return std::nullopt;
  if (op == "/") return a % b == 0 ? std::optional(a / b) : std::nullopt;
  if (op == "//") return FloorDivide(a, b);
  if (op == "%") return a - FloorDivide(a, b) * b;
  if (op == "ceil_div") return a == INT64_MIN ? std::nullopt : std::optional(-FloorDivide(-a, b));
  if (op == "min") return std::min(a, b);
  if (op == "max") return std::max(a, b);
  return std::nullopt;
}

std::optional<Constant> EvaluateConstant(const TypedExpr& expr, const VariableTable& variables,
                                         const CaptureValues* captures) {
  switch (expr.kind) {
    case TypedExpr::Kind::kInt:
      return expr.integer;
    case TypedExpr::Kind::kNumber:
      return expr.number;
    case TypedExpr::Kind::kText:
      return expr.text;
    case TypedExpr::Kind::kBool:
      return expr.boolean;
    case TypedExpr::Kind::kVariable: {
      const VariableTable::Entry* entry = variables.FindQualified(expr.text);
      return entry == nullptr ? std::nullopt : entry->constant;
    }
    case TypedExpr::Kind::kCapture: {
      if (captures == nullptr) return std::nullopt;
      const auto value = captures->find(expr.text);
      return value == captures->end() ? std::nullopt : std::optional(value->second);
    }
    case TypedExpr::Kind::kInvalid:
    case TypedExpr::Kind::kDim:
    case TypedExpr::Kind::kList:
    case TypedExpr::Kind::kName:
      return std::nullopt;
    case TypedExpr::Kind::kCall:
      break;
  }
  if (expr.text == "and" || expr.text == "or") return Logic(expr, variables, captures);
  if (expr.text == "if" && expr.args.size() == 3) {
    const std::optional<Constant> condition = EvaluateConstant(expr.args[0], variables, captures);
    const bool* value = condition ? std::get_if<bool>(&*condition) : nullptr;
    return value != nullptr ? EvaluateConstant(expr.args[*value ? 1 : 2], variables, captures) : std::nullopt;
  }
  std::vector<Constant> args;
  args.reserve(expr.args.size());
  for (const TypedExpr& arg : expr.args) {
    std::optional<Constant> value = EvaluateConstant(arg, variables, captures);
    if (!value) return std::nullopt;
    args.push_back(*std::move(value));
  }
  if (expr.text == "not" && args.size() == 1) {
    const bool* value = std::get_if<bool>(&args[0]);
    return value != nullptr ? std::optional<Constant>(!*value) : std::nullopt;
  }
  if (expr.text == "abs" && args.size() == 1) {
    const int64_t* integer = std::get_if<int64_t>(&args[0]);
    if (integer == nullptr || *integer == INT64_MIN) return std::nullopt;
    return Constant(*integer < 0 ? -*integer : *integer);
  }
  if (expr.text == "neg" && args.size() == 1) return Binary("-", Constant(int64_t{0}), args[0]);
  if (args.empty()) return std::nullopt;
  std::optional<Constant> value = args[0];
  for (size_t i = 1; i < args.size() && value; ++i) value = Binary(expr.text, *value, args[i]);
  return args.size() > 1 ? value : std::nullopt;
}

std::optional<int64_t> EvaluateInt(const TypedExpr& expr, const VariableTable& variables,
                                   const CaptureValues* captures) {
  const std::optional<Constant> value = EvaluateConstant(expr, variables, captures);
  const int64_t* integer = value ? std::get_if<int64_t>(&*value) : nullptr;
  return integer != nullptr ? std::optional(*integer) : std::nullopt;
}

}  // namespace ckmap
