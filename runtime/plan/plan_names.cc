#include "runtime/plan/plan_names.h"

#include <algorithm>
#include <cmath>

#include <re2/re2.h>

#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/ops/op_table.h"
#include "runtime/plan/plan_validate.h"

namespace ckmap {
namespace {

struct OperatorSpec {
  std::string_view name;
  int args;
};
constexpr OperatorSpec kOperators[] = {{"+", 2},   {"-", 2},  {"*", 2},   {"/", 2},   {"//", 2}, {"%", 2},
                                       {"==", 2},  {"!=", 2}, {"<", 2},   {"<=", 2},  {">", 2},  {">=", 2},
                                       {"and", 2}, {"or", 2}, {"not", 1}, {"neg", 1}, {"if", 3}};

}  // namespace

Result<void> PlanNames::Loc(const plan::Location& loc) const {
  if (loc.file() >= static_cast<uint32_t>(plan_.files_size())) {
    return BadPlan(fmt::format("a place in file {} of {}", loc.file(), plan_.files_size()));
  }
  return {};
}

Result<void> PlanNames::Expr(const plan::Expr& expr, const PlanScope& scope, int depth) {
  if (depth > kMaxExprDepth) {
    return PlanTooLarge(fmt::format("an expression nests more than {} levels deep", kMaxExprDepth));
  }
  CKMAP_RETURN_IF_ERROR(Loc(expr.loc()));
  const auto known = [](const PlanNameSet* names, const std::string& name) {
    return names != nullptr && names->count(name) > 0;
  };
  switch (expr.kind_case()) {
    case plan::Expr::kInt:
    case plan::Expr::kText:
    case plan::Expr::kBoolean:
    case plan::Expr::kNone:
      return {};
    case plan::Expr::kNumber:
      if (!std::isfinite(expr.number())) return BadPlan("a number that is not finite");
      return {};
    case plan::Expr::kVariable:
      if (variables_.count(expr.variable()) > 0) return {};
      return BadPlan(fmt::format("variable {} is not defined before its use", QuoteName(expr.variable())));
    case plan::Expr::kCapture:
      if (known(scope.captures, expr.capture())) return {};
      return BadPlan(fmt::format("capture {} is not bound", QuoteName(expr.capture())));
    case plan::Expr::kDim:
      if (known(scope.dims, expr.dim())) return {};
      return BadPlan(fmt::format("size {} is not bound", QuoteName(expr.dim())));
    case plan::Expr::kCall:
      return Call(expr.call(), scope, depth);
    case plan::Expr::kList:
      return ForEachItem(expr.list().items(), "list", [&](const plan::Expr& item) -> Result<void> {
        if (item.kind_case() == plan::Expr::kName) return BadPlan("a tensor name where a value belongs");
        return Expr(item, scope, depth + 1);
      });
    case plan::Expr::kName: {
      PlanNameSet own;
      CKMAP_RETURN_IF_ERROR(CollectCaptures(expr.name(), own));
      if (!own.empty()) return BadPlan(fmt::format("capture {} inside an expression", QuoteName(*own.begin())));
      return Pattern(expr.name(), scope, depth + 1);
    }
    case plan::Expr::KIND_NOT_SET:
      break;
  }
  return BadPlan("an expression without a value");
}

bool IsSourceName(std::string_view name) {
  if (name.empty() || name.size() > 256 || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

Result<void> PlanNames::Call(const plan::Call& call, const PlanScope& scope, int depth) {
  int least = 0;
  int most = 0;
  bool takes_name = false;
  const auto* op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                [&](const OperatorSpec& spec) { return spec.name == call.function(); });
  if (op != std::end(kOperators)) {
    least = most = op->args;
  } else if (const FunctionSpec* function = FindFunction(call.function()); function != nullptr) {
    least = function->min_args;
    most = function->max_args;
    takes_name = function->takes_name;
  } else {
    return BadPlan(fmt::format("function {} does not exist in this version", QuoteName(call.function())));
  }
  if (call.args_size() < least || call.args_size() > most) {
    return BadPlan(fmt::format("{} has {} arguments", QuoteName(call.function()), call.args_size()));
  }
  for (int i = 0; i < call.args_size(); ++i) {
    const bool is_name = call.args(i).kind_case() == plan::Expr::kName;
    if (is_name != (takes_name && i == 0)) {
      return BadPlan(fmt::format("argument {} of {} is {}a tensor name", i + 1, QuoteName(call.function()),
                                 is_name ? "" : "not "));
    }
    CKMAP_RETURN_IF_ERROR(Expr(call.args(i), scope, depth + 1));
  }
  return {};
}

Result<void> PlanNames::OptionalExpr(bool present, const plan::Expr& expr, std::string_view what,
                                     const PlanScope& scope) {
  if (!present) return {};
  if (expr.kind_case() == plan::Expr::kName)
    return BadPlan(fmt::format("{}: a tensor name where a value belongs", what));
  if (Result<void> result = Expr(expr, scope); !result) return std::move(result).error().Context(what);
  return {};
}

Result<void> PlanNames::Regex(const std::string& text) {
  if (text.empty()) return BadPlan("an empty regular expression");
  if (regexes_.count(text) > 0) return {};
  if (regexes_.size() >= static_cast<size_t>(kMaxRegexes)) {
    return PlanTooLarge(fmt::format("the plan has more than {} regular expressions", kMaxRegexes));
  }
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxRegexMemory);
  const RE2 regex(text, options);
  if (!regex.ok()) return BadPlan(fmt::format("regular expression {}: {}", QuoteName(text), EscapeText(regex.error())));
  PlanNameSet& groups = regexes_[text];
  for (const auto& [name, group] : regex.NamedCapturingGroups()) groups.insert(name);
  return {};
}

Result<void> PlanNames::Capture(const plan::Capture& capture) {
  if (capture.name().empty()) return BadPlan("a capture without a name");
  if (capture.choices_size() > kMaxOptions) {
    return PlanTooLarge(fmt::format("capture {} has {} choices", QuoteName(capture.name()), capture.choices_size()));
  }
  if (capture.kind() == plan::Capture::CHOICE && capture.choices().empty()) {
    return BadPlan(fmt::format("capture {} has no choices", QuoteName(capture.name())));
  }
  if (capture.gather() && capture.kind() != plan::Capture::INT) {
    return BadPlan(fmt::format("capture {} gathers what is no integer", QuoteName(capture.name())));
  }
  if (capture.kind() == plan::Capture::REGEX) return Regex(capture.regex());
  return {};
}

Result<void> PlanNames::CollectCaptures(const plan::Pattern& pattern, PlanNameSet& captures) {
  for (const plan::Part& part : pattern.parts()) {
    if (part.has_capture()) captures.insert(part.capture().name());
  }
  if (pattern.regex().empty()) return {};
  CKMAP_RETURN_IF_ERROR(Regex(pattern.regex()));
  captures.insert(regexes_[pattern.regex()].begin(), regexes_[pattern.regex()].end());
  return {};
}

Result<void> PlanNames::Part(const plan::Part& part, const PlanScope& scope, int depth) {
  switch (part.kind_case()) {
    case plan::Part::kLiteral:
      return {};
    case plan::Part::kCapture:
      return Capture(part.capture());
    case plan::Part::kAlternatives:
      if (part.alternatives().options().empty()) return BadPlan("alternatives without an option");
      if (part.alternatives().options_size() > kMaxOptions) {
        return PlanTooLarge(fmt::format("{} alternatives in one name", part.alternatives().options_size()));
      }
      return {};
    case plan::Part::kExpr:
      if (part.expr().kind_case() == plan::Expr::kName) return BadPlan("a tensor name inside a tensor name");
      return Expr(part.expr(), scope, depth);
    case plan::Part::kReference:
      if (scope.captures != nullptr && scope.captures->count(part.reference()) > 0) return {};
      return BadPlan(fmt::format("capture {} is not bound", QuoteName(part.reference())));
    case plan::Part::KIND_NOT_SET:
      break;
  }
  return BadPlan("an empty part of a name");
}

Result<void> PlanNames::Pattern(const plan::Pattern& pattern, const PlanScope& scope, int depth) {
  Result<void> result;
  if (pattern.parts_size() > kMaxPatternParts) {
    result = PlanTooLarge(fmt::format("more than {} parts", kMaxPatternParts));
  } else if (!pattern.regex().empty() && !pattern.parts().empty()) {
    result = BadPlan("both a regular expression and parts");
  } else if (!pattern.regex().empty()) {
    result = Regex(pattern.regex());
  } else {
    result = ForEachItem(pattern.parts(), "parts", [&](const plan::Part& part) { return Part(part, scope, depth); });
  }
  if (!result) return std::move(result).error().Context(fmt::format("name {}", QuoteName(pattern.text())));
  return {};
}

Result<void> PlanNames::NameAndWhen(bool present, const plan::Pattern& pattern, bool has_when, const plan::Expr& when) {
  if (!present) return BadPlan("a statement without a name");
  if (pattern.parts().empty() && pattern.regex().empty()) return BadPlan("an empty name");
  PlanNameSet captures;
  CKMAP_RETURN_IF_ERROR(CollectCaptures(pattern, captures));
  const PlanScope scope{.captures = &captures};
  CKMAP_RETURN_IF_ERROR(Pattern(pattern, scope));
  return OptionalExpr(has_when, when, "when", scope);
}

Result<void> PlanNames::Contents(const plan::Contents& contents, const PlanScope& scope) {
  const plan::Contents::Kind kind = contents.kind();
  if (!plan::Contents::Kind_IsValid(kind)) return BadPlan("`equals` says what this version does not know");
  const bool tensor = kind == plan::Contents::TENSOR;
  if (tensor != contents.has_tensor()) return BadPlan("`equals` without a name, or with one too many");
  if (tensor) {
    if (contents.tensor().parts().empty()) return BadPlan("`equals` with an empty name");
    for (const plan::Part& part : contents.tensor().parts()) {
      if (part.has_capture() || part.has_alternatives()) return BadPlan("`equals` names more than one tensor");
    }
    CKMAP_RETURN_IF_ERROR(Pattern(contents.tensor(), scope));
  }
  const std::string_view wants = kind == plan::Contents::CONSTANT   ? "value"
                                 : kind == plan::Contents::IOTA     ? "first"
                                 : kind == plan::Contents::INV_FREQ ? "theta"
                                                                    : "";
  if (contents.args_size() > (wants.empty() ? 0 : 1)) return BadPlan("`equals` with an argument too many");
  if (contents.args().empty()) {
    return wants.empty() || kind == plan::Contents::IOTA ? Result<void>() : BadPlan("`equals` without its argument");
  }
  const plan::Argument& arg = contents.args(0);
  if (arg.name() != wants || !arg.has_value())
    return BadPlan(fmt::format("`equals` has no argument {}", QuoteName(arg.name())));
  return OptionalExpr(true, arg.value(), arg.name(), scope);
}

}  // namespace ckmap
