#include "compiler/sema/op_arguments.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"
#include "runtime/ops/einops.h"

namespace ckmap {
namespace {

struct Least {
  std::string_view op, arg;
  int64_t least;
};
constexpr Least kLeast[] = {
    {"slice", "step", 1},   {"pad", "before", 0},       {"pad", "after", 0},          {"pad", "multiple", 1},
    {"repeat", "times", 1}, {"interleave", "block", 1}, {"deinterleave", "block", 1}, {"deinterleave", "parts", 1},
};

class ArgumentChecker {
 public:
  ArgumentChecker(const ast::OpCall& call, const OpSpec& spec, const TypedOp& op, const VariableTable& variables,
                  DiagnosticSink& sink)
      : call_(call), spec_(spec), op_(op), variables_(variables), sink_(sink) {}

  bool Check() {
    for (const auto& [name, value] : op_.args) CheckLeast(name, value);
    if (spec_.name == "split") CheckSplit();
    if (spec_.name == "transpose") CheckTranspose();
    if (spec_.name == "pad") CheckPad();
    if (spec_.name == "rearrange") CheckRearrange();
    if (spec_.name == "scale") CheckScale();
    return valid_;
  }

 private:
  void Problem(DiagnosticKind kind, Span span, std::string message, std::string help) {
    sink_.Report(kind, span, std::move(message)).Help(std::move(help)).Emit();
    valid_ = false;
  }

  bool Has(std::string_view name) const { return op_.Find(name) != nullptr; }

  void CheckLeast(const std::string& name, const TypedExpr& value) {
    std::optional<int64_t> least;
    for (const Least& row : kLeast) {
      if (row.op == spec_.name && row.arg == name) least = row.least;
    }
    const bool size = spec_.named_sizes && std::none_of(spec_.args.begin(), spec_.args.end(),
                                                        [&](const ArgSpec& arg) { return arg.name == name; });
    if (size) least = 1;
    const auto constant = least ? EvaluateInt(value, variables_) : std::nullopt;
    if (!constant || *constant >= *least) return;
    Problem(DiagnosticKind::kArgumentValue, value.span, fmt::format("`{}` of `{}` is {}", name, spec_.name, *constant),
            fmt::format("it is {} or more", *least));
  }

  void CheckSplit() {
    if (!Has("parts") || !Has("sizes")) return;
    Problem(DiagnosticKind::kArgumentConflict, op_.Find("sizes")->span, "`split` has both `parts` and `sizes`",
            "`parts` cuts in equal parts; leave one out");
  }

  void CheckTranspose() {
    if (Has("a") == Has("b")) return;
    Problem(DiagnosticKind::kArgumentConflict, call_.span, "`transpose` has one axis, and swaps two",
            "give both, or none for the last two");
  }

  void CheckPad() {
    const TypedExpr* mode = op_.Find("mode");
    const bool ends = Has("before") || Has("after");
    if (Has("multiple") && ends) {
      Problem(DiagnosticKind::kArgumentConflict, op_.Find("multiple")->span,
              "`pad` has both `multiple` and the number of elements",
              "`multiple` computes how many stand behind; leave one out");
    } else if (!Has("multiple") && !ends) {
      Problem(DiagnosticKind::kArgumentConflict, call_.span, "`pad` does not say how much",
              "give `before`, `after` or `multiple`");
    }
    if (mode != nullptr && mode->text == "edge" && Has("value")) {
      Problem(DiagnosticKind::kArgumentConflict, op_.Find("value")->span, "`pad` has both `value` and mode=edge",
              "with mode=edge the padding is a copy of the edge; leave one out");
    }
  }

  void CheckScale() {
    const TypedExpr& factor = *op_.Find("factor");
    const auto constant = EvaluateConstant(factor, variables_);
    const int64_t* integer = constant ? std::get_if<int64_t>(&*constant) : nullptr;
    const double* number = constant ? std::get_if<double>(&*constant) : nullptr;
    if ((integer == nullptr || *integer != 0) && (number == nullptr || *number != 0)) return;
    Problem(DiagnosticKind::kArgumentValue, factor.span, "`factor` of `scale` is 0",
            "nothing of the tensor would be left: `init … = zeros` makes one of zeros");
  }

  void CheckRearrange() {
    const TypedExpr& pattern = *op_.Find("pattern");
    if (pattern.kind != TypedExpr::Kind::kText) {
      return Problem(DiagnosticKind::kBadRearrangement, pattern.span, "the pattern is not written out",
                     "write it in quotes: \"(h d) e -> h d e\"");
    }
    const auto parsed = ParseRearrangement(pattern.text);
    if (const auto* mistake = std::get_if<EinopsMistake>(&parsed)) {
      return Problem(DiagnosticKind::kBadRearrangement, InsideText(pattern, mistake->at, mistake->length),
                     mistake->message, mistake->help);
    }
    std::vector<std::string> names;
    for (const EinopsGroup& group : std::get<Rearrangement>(parsed).left.groups) {
      for (const EinopsAxis& axis : group.axes) {
        if (axis.name != kEllipsis) names.push_back(axis.name);
      }
    }
    for (const ast::CallArgument& argument : call_.args) {
      if (!argument.name || argument.name->text == "pattern") continue;
      const std::string& name = argument.name->text;
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      std::string help = DidYouMean(name, names);
      if (help.empty())
        help = names.empty() ? "the pattern names no axes" : fmt::format("its axes are {}", ListOf(names, "and"));
      Problem(DiagnosticKind::kUnknownArgument, argument.name->span, fmt::format("the pattern has no axis `{}`", name),
              std::move(help));
    }
  }

  const ast::OpCall& call_;
  const OpSpec& spec_;
  const TypedOp& op_;
  const VariableTable& variables_;
  DiagnosticSink& sink_;
  bool valid_ = true;
};

}  // namespace

Span InsideText(const TypedExpr& literal, size_t at, size_t length) {
  Span span = literal.span;
  if (span.end - span.begin != literal.text.size() + 2) return span;
  span.begin += static_cast<uint32_t>(at) + 1;
  span.end = span.begin + static_cast<uint32_t>(std::max(length, size_t{1}));
  return span;
}

bool CheckArguments(const ast::OpCall& call, const OpSpec& spec, const TypedOp& op, const VariableTable& variables,
                    DiagnosticSink& sink) {
  return ArgumentChecker(call, spec, op, variables, sink).Check();
}

}  // namespace ckmap
