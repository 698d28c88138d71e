#include "compiler/sema/op_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"
#include "compiler/sema/op_arguments.h"
#include "runtime/tensor/dtype.h"

namespace ckmap {
namespace {

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return words;
}

class OpChecker {
 public:
  OpChecker(const ast::OpCall& call, const OpSpec& spec, ExprTyper typer, const VariableTable& variables,
            DiagnosticSink& sink)
      : call_(call), spec_(spec), typer_(typer), variables_(variables), sink_(sink) {}

  // False: something was reported.
  bool Check(TypedOp& op) {
    values_.resize(spec_.args.size());
    spans_.resize(spec_.args.size());
    size_t next = 0;
    for (const ast::CallArgument& argument : call_.args) {
      if (!argument.value) {
        valid_ = false;
      } else if (argument.name) {
        TakeNamed(argument);
      } else {
        TakePositional(argument, next);
      }
    }
    for (size_t i = 0; i < spec_.args.size(); ++i) {
      if (values_[i]) {
        op.args.emplace_back(spec_.args[i].name, *std::move(values_[i]));
      } else if (spec_.args[i].required && valid_) {
        Problem(DiagnosticKind::kMissingArgument, call_.name.span,
                fmt::format("`{}` lacks its argument `{}`", spec_.name, spec_.args[i].name), Usage());
      }
    }
    for (auto& size : sizes_) op.args.push_back(std::move(size));
    if (valid_) valid_ = CheckArguments(call_, spec_, op, variables_, sink_);
    return valid_;
  }

 private:
  void Problem(DiagnosticKind kind, Span span, std::string message, std::string help = "") {
    sink_.Report(kind, span, std::move(message)).Help(std::move(help)).Emit();
    valid_ = false;
  }

  std::string Usage() const { return fmt::format("for example: {}", spec_.shapes); }

  void TakeNamed(const ast::CallArgument& argument) {
    std::vector<std::string> known;
    for (size_t i = 0; i < spec_.args.size(); ++i) {
      known.emplace_back(spec_.args[i].name);
      if (spec_.args[i].name != argument.name->text) continue;
      if (values_[i]) {
        sink_
            .Report(DiagnosticKind::kDuplicateArgument, argument.name->span,
                    fmt::format("`{}` is given twice", argument.name->text))
            .With(spans_[i], "first given here")
            .Emit();
        valid_ = false;
        return;
      }
      Put(i, *argument.value);
      return;
    }
    if (spec_.named_sizes) {
      TakeSize(argument);
      return;
    }
    std::string help = DidYouMean(argument.name->text, known);
    if (help.empty())
      help = known.empty() ? "it has no arguments" : fmt::format("its arguments are {}", ListOf(known, "and"));
    Problem(DiagnosticKind::kUnknownArgument, argument.name->span,
            fmt::format("`{}` has no argument `{}`", spec_.name, argument.name->text), help);
  }

  // `h=heads` of a rearrange.
  void TakeSize(const ast::CallArgument& argument) {
    const std::string& name = argument.name->text;
    for (const auto& [other, value] : sizes_) {
      if (other != name) continue;
      sink_.Report(DiagnosticKind::kDuplicateArgument, argument.name->span, fmt::format("`{}` is given twice", name))
          .With(value.span, "first given here")
          .Emit();
      valid_ = false;
      return;
    }
    sizes_.emplace_back(name, Integer(*argument.value, name));
    sizes_.back().second.span.begin = argument.name->span.begin;
  }

  void TakePositional(const ast::CallArgument& argument, size_t& next) {
    while (next < spec_.args.size() && values_[next] && !spec_.args[next].variadic) ++next;
    if (next == spec_.args.size()) {
      Problem(DiagnosticKind::kUnknownArgument, argument.value->span,
              fmt::format("`{}` has too many arguments", spec_.name), Usage());
      return;
    }
    if (!spec_.args[next].variadic) {
      Put(next++, *argument.value);
      return;
    }
    if (std::holds_alternative<ast::ListExpr>(argument.value->kind)) {
      Put(next++, *argument.value);
      return;
    }
    TypedExpr item = Integer(*argument.value, spec_.args[next].name);
    if (!values_[next]) {
      values_[next] = TypedExpr();
      values_[next]->kind = TypedExpr::Kind::kList;
      values_[next]->type = ValueType::kList;
      values_[next]->span = spans_[next] = item.span;
    }
    values_[next]->span.end = item.span.end;
    values_[next]->args.push_back(std::move(item));
  }

  TypedExpr Integer(const ast::Expr& expr, std::string_view name) {
    TypedExpr value = typer_.Expect(expr, ValueType::kInt, fmt::format("`{}` of `{}`", name, spec_.name));
    valid_ = valid_ && value.kind != TypedExpr::Kind::kInvalid;
    return value;
  }

  void Put(size_t index, const ast::Expr& expr) {
    const ArgSpec& arg = spec_.args[index];
    spans_[index] = expr.span;
    values_[index] = Typed(arg, expr);
    valid_ = valid_ && values_[index]->kind != TypedExpr::Kind::kInvalid;
  }

  TypedExpr Typed(const ArgSpec& arg, const ast::Expr& expr) {
    const std::string what = fmt::format("`{}` of `{}`", arg.name, spec_.name);
    switch (arg.type) {
      case ArgType::kInt:
        return typer_.Expect(expr, ValueType::kInt, what);
      case ArgType::kNumber:
        return typer_.Expect(expr, ValueType::kFloat, what);
      case ArgType::kBool:
        return typer_.Expect(expr, ValueType::kBool, what);
      case ArgType::kText:
        return typer_.Expect(expr, ValueType::kString, what);
      case ArgType::kDType:
        return Word(arg, expr, DTypes());
      case ArgType::kWord:
        return Word(arg, expr, Split(arg.choices, '|'));
      case ArgType::kIntList:
      case ArgType::kDims:
        break;
    }
    TypedExpr list;
    list.kind = TypedExpr::Kind::kList;
    list.type = ValueType::kList;
    list.span = expr.span;
    if (const auto* items = std::get_if<ast::ListExpr>(&expr.kind)) {
      for (const ast::ExprPtr& item : items->items) {
        if (item) list.args.push_back(Integer(*item, arg.name));
      }
    } else if (IsJsonParameter(expr)) {  // the list is its value
      list.args.push_back(typer_.Type(expr));
    } else {
      list.args.push_back(Integer(expr, arg.name));
    }
    return list;
  }

  bool IsJsonParameter(const ast::Expr& expr) {
    const auto* ref = std::get_if<ast::NameRef>(&expr.kind);
    const VariableTable::Entry* entry = ref == nullptr ? nullptr : typer_.FindVariable(ref->name);
    return entry != nullptr && entry->variable.json;
  }

  static std::vector<std::string> DTypes() {
    std::vector<std::string> names;
    for (int i = 0; i < static_cast<int>(DType::kAny); ++i) names.emplace_back(DTypeName(static_cast<DType>(i)));
    return names;
  }

  TypedExpr Word(const ArgSpec& arg, const ast::Expr& expr, const std::vector<std::string>& words) {
    const auto* ref = std::get_if<ast::NameRef>(&expr.kind);
    const auto* text = std::get_if<ast::StringLiteral>(&expr.kind);
    // A parameter that is a text: its value is known when the plan is bound.
    if (const VariableTable::Entry* entry = ref == nullptr ? nullptr : typer_.FindVariable(ref->name);
        entry != nullptr && entry->variable.type == ValueType::kString && !entry->variable.json) {
      TypedExpr value = typer_.Type(expr);
      const auto constant = EvaluateConstant(value, variables_);
      const auto* text_value = constant ? std::get_if<std::string>(&*constant) : nullptr;
      if (text_value == nullptr) return value;
      if (std::find(words.begin(), words.end(), *text_value) != words.end())
        return TypedExpr::Text(*text_value, expr.span);
    }
    const std::string word = ref != nullptr ? ref->name : text != nullptr ? text->value : "";
    if (std::find(words.begin(), words.end(), word) != words.end()) return TypedExpr::Text(word, expr.span);
    std::string help = DidYouMean(word, words);
    if (help.empty()) help = fmt::format("write one of {}", ListOf(words));
    Problem(DiagnosticKind::kUnknownWord, expr.span,
            word.empty() ? fmt::format("`{}` of `{}` is a word", arg.name, spec_.name)
                         : fmt::format("`{}` is no {}", word,
                                       arg.type == ArgType::kDType ? "dtype"
                                                                   : fmt::format("`{}` of `{}`", arg.name, spec_.name)),
            help);
    TypedExpr invalid;
    invalid.span = expr.span;
    return invalid;
  }

  const ast::OpCall& call_;
  const OpSpec& spec_;
  ExprTyper typer_;
  const VariableTable& variables_;
  DiagnosticSink& sink_;
  std::vector<std::optional<TypedExpr>> values_;
  std::vector<Span> spans_;
  std::vector<std::pair<std::string, TypedExpr>> sizes_;
  bool valid_ = true;
};

}  // namespace

TypedOp CheckOp(const ast::OpCall& call, VariableTable& variables, size_t unit, RuleScope& scope,
                DiagnosticSink& sink) {
  TypedOp op;
  op.span = call.span;
  op.name_span = call.name.span;
  const OpSpec* spec = FindOp(call.name.text);
  if (spec == nullptr) {
    std::vector<std::string> known;
    for (const OpSpec& candidate : Ops()) known.emplace_back(candidate.name);
    std::string help = DidYouMean(call.name.text, known);
    if (help.empty()) help = fmt::format("the operations are {}", ListOf(known, "and"));
    if (!call.name.text.empty()) {
      sink.Report(DiagnosticKind::kUnknownOp, call.name.span, fmt::format("there is no operation `{}`", call.name.text))
          .Help(help)
          .Emit();
    }
    return op;
  }
  OpChecker checker(call, *spec, ExprTyper(variables, unit, &scope, sink), variables, sink);
  if (checker.Check(op)) op.spec = spec;
  return op;
}

}  // namespace ckmap
