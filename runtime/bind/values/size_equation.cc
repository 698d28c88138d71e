#include "runtime/bind/values/size_equation.h"

#include <fmt/format.h>

namespace ckmap {
namespace {

// How often names of sizes without a value stand in an expression; `name` is the last one.
int OpenNames(const plan::Expr& expr, const Scope& scope, std::string& name) {
  if (expr.kind_case() == plan::Expr::kDim) {
    if (scope.Dim(expr.dim()).index() != 0) return 0;
    name = expr.dim();
    return 1;
  }
  int count = 0;
  if (expr.kind_case() == plan::Expr::kCall) {
    for (const plan::Expr& arg : expr.call().args()) count += OpenNames(arg, scope, name);
  }
  return count;
}

class Solver {
 public:
  explicit Solver(const Scope& scope) : scope_(scope) {}

  // The value of the open name for which `expr` is `size`. nullopt: none; `why` says why, "" if it is not solved for at
  // all.
  std::optional<int64_t> Solve(const plan::Expr& expr, int64_t size) {
    if (expr.kind_case() == plan::Expr::kDim) {
      if (size < 0) why = fmt::format("{} would be {}", expr.dim(), size);
      return size < 0 ? std::nullopt : std::optional(size);
    }
    if (expr.kind_case() != plan::Expr::kCall) return std::nullopt;
    const auto& args = expr.call().args();
    const std::string& op = expr.call().function();
    int64_t next = 0;
    if (op == "neg" && args.size() == 1)
      return __builtin_sub_overflow(int64_t{0}, size, &next) ? std::nullopt : Solve(args[0], next);
    if (args.size() != 2) return std::nullopt;
    std::string name;
    const bool left = OpenNames(args[0], scope_, name) > 0;
    const auto known = EvaluateInt(args[left ? 1 : 0], scope_);
    if (!known) return std::nullopt;
    const plan::Expr& open = args[left ? 0 : 1];
    if (op == "+") return __builtin_sub_overflow(size, *known, &next) ? std::nullopt : Solve(open, next);
    if (op == "-" && left) return __builtin_add_overflow(size, *known, &next) ? std::nullopt : Solve(open, next);
    if (op == "-") return __builtin_sub_overflow(*known, size, &next) ? std::nullopt : Solve(open, next);
    if (op == "*") return *known == 0 || *known == -1 ? std::nullopt : Quotient(open, size, *known);
    if (op == "/" && left) return __builtin_mul_overflow(size, *known, &next) ? std::nullopt : Solve(open, next);
    if (op == "/") return size == 0 ? std::nullopt : Quotient(open, *known, size);
    return std::nullopt;
  }

  std::string why;

 private:
  std::optional<int64_t> Quotient(const plan::Expr& open, int64_t of, int64_t by) {
    if (of % by == 0) return Solve(open, of / by);
    why = fmt::format("{} does not divide by {}", of, by);
    return std::nullopt;
  }

  const Scope& scope_;
};

}  // namespace

std::optional<SizeEquation> SolveSize(const plan::Expr& expr, int64_t size, const Scope& scope) {
  SizeEquation equation;
  if (OpenNames(expr, scope, equation.name) != 1) return std::nullopt;
  Solver solver(scope);
  equation.value = solver.Solve(expr, size);
  if (!equation.value && solver.why.empty()) return std::nullopt;
  equation.why = fmt::format("no `{}` makes a size of {}, for {}", equation.name, size, solver.why);
  return equation;
}

}  // namespace ckmap
