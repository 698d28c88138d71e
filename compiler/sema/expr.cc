#include "compiler/sema/expr.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"

namespace ckmap {
namespace {

bool IsNumber(ValueType type) {
  return type == ValueType::kInt || type == ValueType::kFloat || type == ValueType::kUnknown;
}

bool Fits(ValueType type, ValueType want) {
  if (type == want || type == ValueType::kUnknown || want == ValueType::kUnknown) return true;
  return want == ValueType::kFloat && type == ValueType::kInt;
}

ValueType Wider(ValueType a, ValueType b) {
  if (a == ValueType::kUnknown || b == ValueType::kUnknown) return ValueType::kUnknown;
  return a == ValueType::kFloat || b == ValueType::kFloat ? ValueType::kFloat : ValueType::kInt;
}

std::string FunctionNames() {
  std::vector<std::string> names;
  for (const FunctionSpec& spec : Functions()) names.emplace_back(spec.name);
  return ListOf(names, "and");
}

ValueType ResultOf(const FunctionSpec& spec, const std::vector<TypedExpr>& args) {
  if (spec.name == "source_has" || spec.name == "target_has") return ValueType::kBool;
  if (spec.name == "sqrt" || spec.name == "lookup") return ValueType::kFloat;
  if (spec.name == "source_json") return ValueType::kUnknown;  // an integer or a number
  if (spec.takes_name) return ValueType::kInt;
  ValueType type = ValueType::kInt;
  for (const TypedExpr& arg : args) type = Wider(type, arg.type);
  return type;
}

}  // namespace

void NamesOf(const ast::Expr& expr, std::vector<std::string>& names) {
  const auto visit = [&](const ast::ExprPtr& child) {
    if (child) NamesOf(*child, names);
  };
  if (const auto* ref = std::get_if<ast::NameRef>(&expr.kind)) names.push_back(ref->name);
  if (const auto* unary = std::get_if<ast::Unary>(&expr.kind)) visit(unary->operand);
  if (const auto* binary = std::get_if<ast::Binary>(&expr.kind)) {
    visit(binary->left);
    visit(binary->right);
  }
  if (const auto* choice = std::get_if<ast::Conditional>(&expr.kind)) {
    visit(choice->condition);
    visit(choice->then_value);
    visit(choice->else_value);
  }
  if (const auto* call = std::get_if<ast::CallExpr>(&expr.kind)) {
    for (const ast::CallArgument& argument : call->args) visit(argument.value);
  }
  if (const auto* list = std::get_if<ast::ListExpr>(&expr.kind)) {
    for (const ast::ExprPtr& item : list->items) visit(item);
  }
}

TypedExpr ExprTyper::Mistyped(DiagnosticKind kind, Span span, std::string message, std::string help) {
  sink_.Report(kind, span, std::move(message)).Help(std::move(help)).Emit();
  TypedExpr expr;
  expr.span = span;
  return expr;
}

TypedExpr ExprTyper::Expect(const ast::Expr& expr, ValueType want, std::string_view what) {
  TypedExpr typed = Type(expr);
  if (Fits(typed.type, want)) return typed;
  return Mistyped(DiagnosticKind::kTypeMismatch, typed.span,
                  fmt::format("{} is {}, not {}", what, Describe(typed.type), Describe(want)));
}

TypedExpr ExprTyper::Type(const ast::Expr& expr) {
  if (const auto* literal = std::get_if<ast::IntLiteral>(&expr.kind)) return TypedExpr::Int(literal->value, expr.span);
  if (const auto* literal = std::get_if<ast::NumberLiteral>(&expr.kind)) {
    TypedExpr typed;
    typed.kind = TypedExpr::Kind::kNumber;
    typed.type = ValueType::kFloat;
    typed.number = literal->value;
    typed.span = expr.span;
    return typed;
  }
  if (const auto* literal = std::get_if<ast::StringLiteral>(&expr.kind))
    return TypedExpr::Text(literal->value, expr.span);
  if (const auto* literal = std::get_if<ast::BoolLiteral>(&expr.kind))
    return TypedExpr::Bool(literal->value, expr.span);
  if (const auto* ref = std::get_if<ast::NameRef>(&expr.kind)) return TypeName(*ref, expr.span);
  if (const auto* unary = std::get_if<ast::Unary>(&expr.kind)) return TypeUnary(*unary, expr.span);
  if (const auto* binary = std::get_if<ast::Binary>(&expr.kind)) return TypeBinary(*binary, expr.span);
  if (const auto* choice = std::get_if<ast::Conditional>(&expr.kind)) return TypeConditional(*choice, expr.span);
  if (const auto* call = std::get_if<ast::CallExpr>(&expr.kind)) return TypeCall(*call, expr.span);
  TypedExpr typed;
  typed.span = expr.span;
  if (const auto* list = std::get_if<ast::ListExpr>(&expr.kind)) {
    typed.kind = TypedExpr::Kind::kList;
    typed.type = ValueType::kList;
    for (const ast::ExprPtr& item : list->items) {
      if (item) typed.args.push_back(Type(*item));
    }
  }
  return typed;
}

TypedExpr ExprTyper::TypeName(const ast::NameRef& ref, Span span) {
  TypedExpr typed;
  typed.span = span;
  typed.text = ref.name;
  if (rule_ != nullptr) {
    if (RuleScope::Bound* bound = rule_->Find(ref.name)) {
      bound->used = true;
      typed.kind = TypedExpr::Kind::kCapture;
      typed.type = bound->capture.kind == TypedCapture::Kind::kInt ? ValueType::kInt : ValueType::kString;
      return typed;
    }
  }
  if (const VariableTable::Entry* entry = variables_.Find(unit_, ref.name)) {
    typed.kind = TypedExpr::Kind::kVariable;
    typed.type = entry->variable.type;
    typed.text = entry->variable.qualified;
    return typed;
  }
  if (rule_ != nullptr && rule_->dims.contains(ref.name)) {
    typed.kind = TypedExpr::Kind::kDim;
    typed.type = ValueType::kInt;
    return typed;
  }
  std::vector<std::string> known = variables_.NamesIn(unit_);
  if (rule_ != nullptr) {
    known.insert(known.end(), rule_->order.begin(), rule_->order.end());
    known.insert(known.end(), rule_->dims.begin(), rule_->dims.end());
  }
  std::string help = DidYouMean(ref.name, known);
  if (help.empty() && rule_ != nullptr && rule_->in_shape) {
    help = fmt::format(
        "no shape of this rule has an axis of size `{}` alone, which would bind it; write `_` for any size", ref.name);
  }
  if (help.empty()) help = fmt::format("define it: `param {}: int;` or `let {} = …;`", ref.name, ref.name);
  return Mistyped(DiagnosticKind::kUnknownName, span, fmt::format("`{}` is not defined", ref.name), help);
}

bool ExprTyper::WantNumber(const TypedExpr& expr, std::string_view op) {
  if (IsNumber(expr.type)) return true;
  const bool capture = expr.kind == TypedExpr::Kind::kCapture;
  std::string message = capture ? fmt::format("capture `{}` is text, and `{}` wants numbers", expr.text, op)
                                : fmt::format("`{}` wants numbers, and this is {}", op, Describe(expr.type));
  Mistyped(DiagnosticKind::kTypeMismatch, expr.span, std::move(message),
           capture ? fmt::format("write `{{{}:int}}` where it is bound", expr.text) : "");
  return false;
}

TypedExpr ExprTyper::TypeUnary(const ast::Unary& unary, Span span) {
  if (!unary.operand) return {};
  if (unary.op == "not") {
    std::vector<TypedExpr> args = {Expect(*unary.operand, ValueType::kBool, "the operand of `not`")};
    return TypedExpr::Call("not", ValueType::kBool, std::move(args), span);
  }
  TypedExpr operand = Type(*unary.operand);
  if (!WantNumber(operand, "-")) return {};
  if (operand.kind == TypedExpr::Kind::kInt && operand.integer != INT64_MIN) {
    return TypedExpr::Int(-operand.integer, span);
  }
  if (operand.kind == TypedExpr::Kind::kNumber) {
    operand.number = -operand.number;
    operand.span = span;
    return operand;
  }
  const ValueType type = operand.type;
  return TypedExpr::Call("neg", type, {std::move(operand)}, span);
}

TypedExpr ExprTyper::TypeBinary(const ast::Binary& binary, Span span) {
  if (!binary.left || !binary.right) return {};
  if (binary.op == "and" || binary.op == "or") {
    const std::string what = fmt::format("an operand of `{}`", binary.op);
    std::vector<TypedExpr> args = {Expect(*binary.left, ValueType::kBool, what),
                                   Expect(*binary.right, ValueType::kBool, what)};
    return TypedExpr::Call(binary.op, ValueType::kBool, std::move(args), span);
  }
  TypedExpr left = Type(*binary.left);
  TypedExpr right = Type(*binary.right);
  const bool equality = binary.op == "==" || binary.op == "!=";
  if (equality) {
    if (!Fits(left.type, right.type) && !Fits(right.type, left.type)) {
      return Mistyped(DiagnosticKind::kTypeMismatch, span,
                      fmt::format("`{}` compares {} with {}", binary.op, Describe(left.type), Describe(right.type)));
    }
  } else {
    const bool both = WantNumber(left, binary.op) && WantNumber(right, binary.op);
    if (!both) return {};
  }
  const bool comparison = equality || binary.op[0] == '<' || binary.op[0] == '>';
  const ValueType type = comparison ? ValueType::kBool : Wider(left.type, right.type);
  if (!comparison && left.kind == TypedExpr::Kind::kInt && right.kind == TypedExpr::Kind::kInt &&
      !IntegerOp(binary.op, left.integer, right.integer)) {
    const bool zero = right.integer == 0 && binary.op != "*" && binary.op != "+" && binary.op != "-";
    const bool remainder = binary.op == "/" && !zero;
    const std::string what = fmt::format("`{} {} {}`", left.integer, binary.op, right.integer);
    return Mistyped(DiagnosticKind::kBadArithmetic, span,
                    zero        ? "a division by zero"
                    : remainder ? fmt::format("{} leaves a remainder", what)
                                : fmt::format("{} does not fit in 64 bits", what),
                    remainder ? "use `//` to round down" : "");
  }
  return TypedExpr::Call(binary.op, type, {std::move(left), std::move(right)}, span);
}

TypedExpr ExprTyper::TypeConditional(const ast::Conditional& conditional, Span span) {
  if (!conditional.condition || !conditional.then_value || !conditional.else_value) return {};
  TypedExpr condition = Expect(*conditional.condition, ValueType::kBool, "the condition");
  TypedExpr yes = Type(*conditional.then_value);
  TypedExpr no = Type(*conditional.else_value);
  if (!Fits(yes.type, no.type) && !Fits(no.type, yes.type)) {
    return Mistyped(DiagnosticKind::kTypeMismatch, span,
                    fmt::format("`then` gives {} and `else` gives {}", Describe(yes.type), Describe(no.type)));
  }
  const ValueType type = yes.type == no.type ? yes.type : Wider(yes.type, no.type);
  return TypedExpr::Call("if", type, {std::move(condition), std::move(yes), std::move(no)}, span);
}

TypedExpr ExprTyper::TypeCall(const ast::CallExpr& call, Span span) {
  const FunctionSpec* spec = FindFunction(call.function.text);
  if (spec == nullptr) {
    std::vector<std::string> known;
    for (const FunctionSpec& function : Functions()) known.emplace_back(function.name);
    std::string help = DidYouMean(call.function.text, known);
    if (help.empty()) help = fmt::format("the functions are {}", FunctionNames());
    return Mistyped(DiagnosticKind::kUnknownFunction, call.function.span,
                    fmt::format("there is no function `{}`", call.function.text), help);
  }
  const int count = static_cast<int>(call.args.size());
  if (count < spec->min_args || count > spec->max_args) {
    const std::string wants = spec->min_args == spec->max_args
                                  ? fmt::format("{}", spec->min_args)
                                  : fmt::format("{} to {}", spec->min_args, spec->max_args);
    const auto kind = count < spec->min_args ? DiagnosticKind::kMissingArgument : DiagnosticKind::kUnknownArgument;
    return Mistyped(kind, span,
                    fmt::format("`{}` takes {} argument{}, and {} {} given", spec->name, wants, wants == "1" ? "" : "s",
                                count, count == 1 ? "is" : "are"));
  }
  std::vector<TypedExpr> args;
  bool valid = true;
  for (const ast::CallArgument& argument : call.args) {
    if (!argument.value) return {};
    if (argument.name) {
      Mistyped(DiagnosticKind::kUnknownArgument, argument.name->span,
               fmt::format("the arguments of `{}` have no names", spec->name));
      valid = false;
    }
    if (spec->takes_name && args.empty()) {
      args.push_back(TypeTensorName(*argument.value, spec->name));
    } else if (spec->name == "lookup") {
      args.push_back(args.size() == 1 ? Expect(*argument.value, ValueType::kString, "what is looked into")
                                      : Expect(*argument.value, ValueType::kFloat, "the value for other names"));
    } else if (spec->name == "source_json" && args.size() == 1) {
      args.push_back(Expect(*argument.value, ValueType::kString, "the key"));
    } else if (spec->takes_name) {
      args.push_back(Expect(*argument.value, ValueType::kInt,
                            spec->name == "source_json" || spec->name == "source_value" ? "the index" : "the axis"));
    } else {
      args.push_back(Type(*argument.value));
      valid = WantNumber(args.back(), spec->name) && valid;
    }
  }
  if (!valid) return {};
  const ValueType type = ResultOf(*spec, args);
  return TypedExpr::Call(std::string(spec->name), type, std::move(args), span);
}

TypedExpr ExprTyper::TypeTensorName(const ast::Expr& expr, std::string_view wanted_by) {
  TypedPattern pattern;
  pattern.span = expr.span;
  const bool in_layer = rule_ != nullptr && rule_->in_layer;
  if (const ast::Within* prefix = variables_.PrefixOf(unit_);
      prefix != nullptr && !in_layer && wanted_by.starts_with("source_")) {
    TypedPart part;
    part.text = prefix->from.text + ".";
    part.span = expr.span;
    pattern.parts.push_back(std::move(part));
  }
  if (const auto* ref = std::get_if<ast::NameRef>(&expr.kind); ref != nullptr && in_layer) {
    TypedPart part;
    part.text = pattern.text = ref->name;
    part.span = expr.span;
    pattern.parts.push_back(std::move(part));
  } else if (const auto* literal = std::get_if<ast::StringLiteral>(&expr.kind)) {
    pattern.text = literal->value;
    if (!literal->pattern || literal->pattern->invalid || !literal->pattern->regex.empty()) {
      return Mistyped(DiagnosticKind::kBadPattern, expr.span,
                      fmt::format("`{}` wants the name of one tensor", wanted_by));
    }
    for (const ast::PatternPart& part : literal->pattern->parts) {
      std::optional<TypedPart> typed = TypeNamePart(part);
      if (!typed) return {};
      pattern.parts.push_back(*std::move(typed));
    }
  } else {
    return Mistyped(DiagnosticKind::kTypeMismatch, expr.span,
                    fmt::format("`{}` wants the name of a tensor in quotes", wanted_by));
  }
  TypedExpr typed;
  typed.kind = TypedExpr::Kind::kName;
  typed.type = ValueType::kString;
  typed.span = expr.span;
  typed.name = std::make_shared<const TypedPattern>(std::move(pattern));
  return typed;
}

std::optional<TypedPart> ExprTyper::TypeNamePart(const ast::PatternPart& part) {
  TypedPart typed;
  typed.span = part.span;
  if (const auto* literal = std::get_if<ast::LiteralPart>(&part.kind)) {
    typed.text = literal->text;
    return typed;
  }
  if (const auto* arithmetic = std::get_if<ast::ExprPart>(&part.kind); arithmetic != nullptr && arithmetic->expr) {
    typed.kind = TypedPart::Kind::kExpr;
    typed.expr = Expect(*arithmetic->expr, ValueType::kInt, "a number in a name");
    return typed;
  }
  const auto* capture = std::get_if<ast::CapturePart>(&part.kind);
  if (capture == nullptr || capture->kind != ast::CapturePart::Kind::kPlain || capture->gather) {
    Mistyped(DiagnosticKind::kBadPattern, part.span, "a condition asks about one tensor, and this stands for several",
             "use the captures of the rule: `{i}`");
    return std::nullopt;
  }
  TypedExpr ref = TypeName(ast::NameRef{capture->name.text}, capture->name.span);
  if (ref.kind == TypedExpr::Kind::kCapture) {
    typed.kind = TypedPart::Kind::kReference;
    typed.text = capture->name.text;
    return typed;
  }
  if (ref.kind == TypedExpr::Kind::kInvalid) return std::nullopt;
  typed.kind = TypedPart::Kind::kExpr;
  typed.expr = std::move(ref);
  return typed;
}

}  // namespace ckmap
