#include "compiler/sema/reversible.h"

#include <cmath>
#include <set>

#include <fmt/format.h>

#include "runtime/tensor/number.h"

namespace ckmap {
namespace {

using Names = std::set<std::string, std::less<>>;

void CapturesOf(const TypedExpr& expr, Names& names) {
  if (expr.kind == TypedExpr::Kind::kCapture) names.insert(expr.text);
  for (const TypedExpr& arg : expr.args) CapturesOf(arg, names);
}

// Slope of `expr` in `capture`, if it is linear in it alone.
std::optional<int64_t> Slope(const TypedExpr& expr, const std::string& capture, const VariableTable& variables) {
  if (expr.kind == TypedExpr::Kind::kCapture) return expr.text == capture ? 1 : 0;
  if (expr.kind != TypedExpr::Kind::kCall) return 0;
  if (expr.args.size() == 1 && expr.text == "neg") {
    const auto inner = Slope(expr.args[0], capture, variables);
    return inner ? std::optional(-*inner) : std::nullopt;
  }
  if (expr.args.size() != 2) return std::nullopt;
  const auto left = Slope(expr.args[0], capture, variables), right = Slope(expr.args[1], capture, variables);
  if (!left || !right) return std::nullopt;
  if (expr.text == "+") return *left + *right;
  if (expr.text == "-") return *left - *right;
  if (*left == 0 && *right == 0) return 0;
  if (expr.text != "*") return std::nullopt;
  const TypedExpr& factor = *left == 0 ? expr.args[0] : expr.args[1];
  const auto constant = EvaluateInt(factor, variables);
  return constant ? IntegerOp("*", *constant, *left == 0 ? *right : *left) : std::nullopt;
}

class Reverser {
 public:
  Reverser(const TypedRule& rule, const VariableTable& variables) : rule_(rule), variables_(variables) {}

  std::optional<Obstacle> Find() {
    CheckOps(rule_.source);
    CollectTarget();
    CheckNames(rule_.source);
    return std::move(found_);
  }

 private:
  void Put(Span span, std::string reason, std::string help) {
    if (!found_) found_ = Obstacle{span, std::move(reason), std::move(help)};
  }

  void CheckOps(const TypedPipeline& pipeline) {
    for (const TypedTerm& term : pipeline.terms) {
      if (const auto* inner = std::get_if<std::shared_ptr<TypedPipeline>>(&term.kind)) CheckOps(**inner);
    }
    for (const TypedOp& op : pipeline.ops) {
      if (op.spec == nullptr || op.spec->undone == Inverse::kAlways) continue;
      if (op.spec->undone == Inverse::kSometimes && IsUndone(op)) continue;
      Put(op.name_span,
          fmt::format("`{}` {}: {}", op.spec->name,
                      op.spec->undone == Inverse::kNever ? "cannot be undone" : "cannot be undone as written",
                      op.spec->inverse),
          "write `->`");
    }
  }

  // Operations that can be undone for some arguments only.
  bool IsUndone(const TypedOp& op) const {
    if (op.spec->name == "bitcast") return op.Find("from") != nullptr;
    if (op.spec->name == "pad") return op.Find("mode") == nullptr || op.Find("mode")->text != "edge";
    if (op.spec->name != "scale") return false;
    const TypedExpr* overflow = op.Find("overflow");
    const auto factor = EvaluateConstant(*op.Find("factor"), variables_);
    if (!factor || (overflow != nullptr && overflow->text != "error")) return false;
    const int64_t* integer = std::get_if<int64_t>(&*factor);
    const double* number = std::get_if<double>(&*factor);
    int exponent = 0;  // a power of two is 0.5 times a power of two
    const double value = integer != nullptr ? ExactDouble(*integer).value_or(0) : number != nullptr ? *number : 0;
    return std::fabs(std::frexp(value, &exponent)) == 0.5;
  }

  void CollectTarget() {
    for (const TypedTerm& term : rule_.target.terms) {
      const auto* pattern = std::get_if<TypedPattern>(&term.kind);
      if (pattern == nullptr) continue;
      for (const TypedPart& part : pattern->parts) {
        if (part.kind == TypedPart::Kind::kReference) known_.insert(part.text);
        if (part.kind == TypedPart::Kind::kCapture) known_.insert(part.capture.name);
        if (part.kind == TypedPart::Kind::kExpr) CollectExpr(part.expr);
      }
    }
  }

  // Arithmetic in one capture of slope other than 0 gives the capture back; more than one capture
  // is settled over the ranges, when the map is proved to be one to one.
  void CollectExpr(const TypedExpr& expr) {
    Names names;
    CapturesOf(expr, names);
    bool ranged = true;
    for (const std::string& name : names) ranged = ranged && HasRange(name);
    const bool linear = names.size() == 1 && Slope(expr, *names.begin(), variables_).value_or(0) != 0;
    if (ranged || linear) known_.insert(names.begin(), names.end());
  }

  bool HasRange(const std::string& name) const {
    for (const TypedRange& range : rule_.ranges) {
      if (range.capture == name) return true;
    }
    return false;
  }

  void CheckNames(const TypedPipeline& pipeline) {
    for (const TypedTerm& term : pipeline.terms) {
      if (const auto* inner = std::get_if<std::shared_ptr<TypedPipeline>>(&term.kind)) {
        CheckNames(**inner);
        continue;
      }
      const auto& pattern = *std::get_if<TypedPattern>(&term.kind);
      if (!pattern.regex.empty()) {
        Put(term.span, "a regular expression cannot be written as a name",
            "use captures in a quoted name, or write `->`");
      }
      for (const TypedPart& part : pattern.parts) {
        if (part.kind == TypedPart::Kind::kCapture) CheckKnown(part.capture.name, part.span, part.capture.gather);
        if (part.kind != TypedPart::Kind::kExpr) continue;
        Names names;
        CapturesOf(part.expr, names);
        for (const std::string& name : names) CheckKnown(name, part.span, false);
      }
    }
  }

  void CheckKnown(const std::string& name, Span span, bool gather) {
    if (gather || known_.contains(name)) return;
    if (name[0] == '*') {
      Put(span, "the right side does not hold this wildcard, so its text is lost",
          "use it on the right too, or write `->`");
    } else {
      Put(span, fmt::format("capture `{}` cannot be recovered from the right side", name),
          HasRange(name) ? "use it on the right too, or write `->`"
                         : fmt::format("use `{{{}}}` on the right, give a range with `where`, or write `->`", name));
    }
  }

  const TypedRule& rule_;
  const VariableTable& variables_;
  Names known_;
  std::optional<Obstacle> found_;
};

}  // namespace

std::optional<Obstacle> FindObstacle(const TypedRule& rule, const VariableTable& variables) {
  return Reverser(rule, variables).Find();
}

}  // namespace ckmap
