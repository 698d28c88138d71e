#include "runtime/bind/values/value.h"

#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace ckmap {
namespace {

Error Mismatch(std::string message) { return {ErrorCode::kMismatch, std::move(message)}; }

bool IsNumber(const Value& value) {
  return std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value);
}

// A number as f64, to be computed with floats. An integer is not rounded for that.
Result<double> AsDouble(const Value& value) {
  const int64_t* integer = std::get_if<int64_t>(&value);
  if (integer == nullptr) return std::get<double>(value);
  if (const auto exact = ExactDouble(*integer)) return *exact;
  return Mismatch(fmt::format("{} has more digits than a float can hold", *integer));
}

Result<Value> IntArithmetic(const std::string& op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else {
    if (b == 0) return Mismatch(fmt::format("{} {} 0 is not defined", a, op));
    if (a == INT64_MIN && b == -1) return Mismatch(fmt::format("{} {} {} overflows", a, op, b));
    const int64_t quotient = a / b, rest = a % b;
    const bool lower = rest != 0 && (rest < 0) != (b < 0);
    if (op == "/") {
      if (rest != 0) return Mismatch(fmt::format("{} / {} leaves a rest of {}", a, b, rest));
      result = quotient;
    } else if (op == "//") {
      result = lower ? quotient - 1 : quotient;
    } else {
      result = lower ? rest + b : rest;
    }
  }
  if (overflow) return Mismatch(fmt::format("{} {} {} overflows", a, op, b));
  return Value(result);
}

Result<Value> Arithmetic(const std::string& op, const Value& a, const Value& b) {
  if (op == "+" && std::holds_alternative<std::string>(a) && std::holds_alternative<std::string>(b)) {
    return Value(std::get<std::string>(a) + std::get<std::string>(b));
  }
  if (!IsNumber(a) || !IsNumber(b)) {
    return Mismatch(fmt::format("`{}` needs two numbers, not {} and {}", op, FormatValue(a), FormatValue(b)));
  }
  if (std::holds_alternative<int64_t>(a) && std::holds_alternative<int64_t>(b)) {
    return IntArithmetic(op, std::get<int64_t>(a), std::get<int64_t>(b));
  }
  CKMAP_ASSIGN_OR_RETURN(const double x, AsDouble(a));
  CKMAP_ASSIGN_OR_RETURN(const double y, AsDouble(b));
  if (y == 0 && op != "+" && op != "-" && op != "*") return Mismatch(fmt::format("{} {} 0 is not defined", x, op));
  const double result = op == "+"    ? x + y
                        : op == "-"  ? x - y
                        : op == "*"  ? x * y
                        : op == "/"  ? x / y
                        : op == "//" ? std::floor(x / y)
                                     : x - std::floor(x / y) * y;
  if (!std::isfinite(result)) return Mismatch(fmt::format("{} {} {} is beyond what a float can hold", x, op, y));
  return Value(result);
}

// An integer against a float, without rounding either.
int CompareMixed(int64_t integer, double real) {
  if (!(real < 0x1p63)) return real >= 0x1p63 ? -1 : 1;  // no NaN comes out of an expression
  if (real < -0x1p63) return 1;
  const double whole = std::floor(real);
  const auto below = static_cast<int64_t>(whole);
  if (integer != below) return integer < below ? -1 : 1;
  return whole < real ? -1 : 0;
}

// -1, 0, 1; nullopt if the two cannot be compared.
std::optional<int> Compare(const Value& a, const Value& b) {
  if (std::holds_alternative<int64_t>(a) && std::holds_alternative<int64_t>(b)) {
    const int64_t x = std::get<int64_t>(a), y = std::get<int64_t>(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (IsNumber(a) && IsNumber(b)) {
    if (const int64_t* integer = std::get_if<int64_t>(&a)) return CompareMixed(*integer, std::get<double>(b));
    if (const int64_t* integer = std::get_if<int64_t>(&b)) return -CompareMixed(*integer, std::get<double>(a));
    const double x = std::get<double>(a), y = std::get<double>(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (std::holds_alternative<std::string>(a) && std::holds_alternative<std::string>(b)) {
    const int order = std::get<std::string>(a).compare(std::get<std::string>(b));
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  if (std::holds_alternative<bool>(a) && std::holds_alternative<bool>(b)) {
    return static_cast<int>(std::get<bool>(a)) - static_cast<int>(std::get<bool>(b));
  }
  return std::nullopt;
}

Result<Value> Comparison(const std::string& op, const Value& a, const Value& b) {
  const auto order = Compare(a, b);
  if (!order) {
    return Mismatch(fmt::format("{} and {} cannot be compared", FormatValue(a), FormatValue(b)));
  }
  if (op == "==") return Value(*order == 0);
  if (op == "!=") return Value(*order != 0);
  if (op == "<") return Value(*order < 0);
  if (op == "<=") return Value(*order <= 0);
  if (op == ">") return Value(*order > 0);
  return Value(*order >= 0);
}

Result<Value> Function(const std::string& name, const std::vector<Value>& args) {
  if (name == "min" || name == "max") {
    Value best = args.front();
    for (const Value& arg : args) {
      const auto order = Compare(arg, best);
      if (!order) return Mismatch(fmt::format("`{}` needs numbers", name));
      if (name == "min" ? *order < 0 : *order > 0) best = arg;
    }
    return best;
  }
  if (name == "abs" || name == "neg") {
    if (const int64_t* integer = std::get_if<int64_t>(&args[0])) {
      if (*integer == INT64_MIN) return Mismatch(fmt::format("`{}` overflows", name));
      return Value(name == "neg" || *integer < 0 ? -*integer : *integer);
    }
    if (const double* number = std::get_if<double>(&args[0])) {
      return Value(name == "neg" ? -*number : std::fabs(*number));
    }
    return Mismatch(fmt::format("`{}` needs a number, not {}", name, FormatValue(args[0])));
  }
  if (name == "sqrt" && IsNumber(args[0])) {
    CKMAP_ASSIGN_OR_RETURN(const double number, AsDouble(args[0]));
    if (!(number >= 0)) return Mismatch(fmt::format("sqrt({}) is no number", number));
    return Value(std::sqrt(number));
  }
  if (name == "ceil_div" && std::holds_alternative<int64_t>(args[0]) && std::holds_alternative<int64_t>(args[1])) {
    const int64_t a = std::get<int64_t>(args[0]), b = std::get<int64_t>(args[1]);
    if (a < 0 || b <= 0) return Mismatch(fmt::format("ceil_div({}, {}) needs a >= 0 and b > 0", a, b));
    return Value(a / b + (a % b != 0 ? 1 : 0));
  }
  return Mismatch(fmt::format("`{}` cannot be computed for {}", name, FormatValue(args.empty() ? Value() : args[0])));
}

Result<Value> EvaluateCall(const plan::Call& call, const Scope& scope) {
  const std::string& name = call.function();
  if (name == "and" || name == "or") {
    CKMAP_ASSIGN_OR_RETURN(const bool left, EvaluateBool(call.args(0), scope));
    if (left == (name == "or")) return Value(left);
    CKMAP_ASSIGN_OR_RETURN(const bool right, EvaluateBool(call.args(1), scope));
    return Value(right);
  }
  if (name == "not") {
    CKMAP_ASSIGN_OR_RETURN(const bool operand, EvaluateBool(call.args(0), scope));
    return Value(!operand);
  }
  if (name == "if") {
    CKMAP_ASSIGN_OR_RETURN(const bool condition, EvaluateBool(call.args(0), scope));
    return Evaluate(call.args(condition ? 1 : 2), scope);
  }
  const plan::Pattern* tensor = nullptr;
  std::vector<Value> args;
  for (const plan::Expr& arg : call.args()) {
    if (arg.kind_case() == plan::Expr::kName) {
      tensor = &arg.name();
    } else {
      CKMAP_ASSIGN_OR_RETURN(Value value, Evaluate(arg, scope));
      args.push_back(std::move(value));
    }
  }
  if (tensor != nullptr) return scope.Lookup(name, *tensor, args);
  if (name == "+" || name == "-" || name == "*" || name == "/" || name == "//" || name == "%") {
    return Arithmetic(name, args[0], args[1]);
  }
  if (name.find_first_of("=<>") != std::string::npos) return Comparison(name, args[0], args[1]);
  return Function(name, args);
}

}  // namespace

std::string FormatValue(const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&value)) return fmt::format("\"{}\"", *text);
  return "nothing";
}

Result<Value> Scope::Lookup(const std::string& function, const plan::Pattern& /*name*/,
                            const std::vector<Value>& /*args*/) const {
  return Error(ErrorCode::kMismatch, fmt::format("`{}` cannot be asked here", function));
}

Result<Value> Evaluate(const plan::Expr& expr, const Scope& scope) {
  switch (expr.kind_case()) {
    case plan::Expr::kInt:
      return Value(int64_t{expr.int_()});
    case plan::Expr::kNumber:
      return Value(expr.number());
    case plan::Expr::kText:
      return Value(expr.text());
    case plan::Expr::kBoolean:
      return Value(expr.boolean());
    case plan::Expr::kVariable: {
      Value value = scope.Variable(expr.variable());
      if (value.index() == 0) return Mismatch(fmt::format("`{}` has no value", expr.variable()));
      return value;
    }
    case plan::Expr::kCapture: {
      Value value = scope.Capture(expr.capture());
      if (value.index() == 0) return Mismatch(fmt::format("`{{{}}}` has no value here", expr.capture()));
      return value;
    }
    case plan::Expr::kDim: {
      Value value = scope.Dim(expr.dim());
      if (value.index() == 0) {
        return Mismatch(fmt::format("the size `{}` is not known here: no [shape] has bound it yet", expr.dim()));
      }
      return value;
    }
    case plan::Expr::kCall:
      return EvaluateCall(expr.call(), scope);
    case plan::Expr::kList:
    case plan::Expr::kName:
    case plan::Expr::kNone:
    case plan::Expr::KIND_NOT_SET:
      break;
  }
  return Mismatch("a value was expected here");
}

Result<int64_t> EvaluateInt(const plan::Expr& expr, const Scope& scope) {
  CKMAP_ASSIGN_OR_RETURN(const Value value, Evaluate(expr, scope));
  if (const int64_t* integer = std::get_if<int64_t>(&value)) return *integer;
  return Mismatch(fmt::format("an integer was expected, not {}", FormatValue(value)));
}

Result<Number> EvaluateNumber(const plan::Expr& expr, const Scope& scope) {
  CKMAP_ASSIGN_OR_RETURN(const Value value, Evaluate(expr, scope));
  if (const int64_t* integer = std::get_if<int64_t>(&value)) return Number(*integer);
  if (const double* real = std::get_if<double>(&value)) return Number(*real);
  return Mismatch(fmt::format("a number was expected, not {}", FormatValue(value)));
}

Result<bool> EvaluateBool(const plan::Expr& expr, const Scope& scope) {
  CKMAP_ASSIGN_OR_RETURN(const Value value, Evaluate(expr, scope));
  if (const bool* boolean = std::get_if<bool>(&value)) return *boolean;
  return Mismatch(fmt::format("true or false was expected, not {}", FormatValue(value)));
}

}  // namespace ckmap
