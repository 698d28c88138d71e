// Validates a parsed plan. Recursion follows the nesting of messages, which plan_wire.cc has bounded.
#include "runtime/plan/plan_validate.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>
#include <re2/re2.h>

#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/plan/op_table.h"
#include "runtime/tensor/dtype.h"

namespace ckmap {
namespace {

using Names = std::set<std::string, std::less<>>;

Error Bad(std::string message) { return {ErrorCode::kMalformed, std::move(message)}; }
Error TooMany(std::string message) { return {ErrorCode::kLimit, std::move(message)}; }
std::string Quote(std::string_view name) { return fmt::format("`{}`", EscapeText(name)); }

// Runs `check(item)` over a repeated field; an error says which item it is in.
template <typename Items, typename Check>
Result<void> ForEach(const Items& items, std::string_view what, Check check) {
  for (int i = 0; i < items.size(); ++i) {
    if (Result<void> result = check(items[i]); !result) {
      return std::move(result).error().Context(fmt::format("{}[{}]", what, i));
    }
  }
  return {};
}

struct OperatorSpec {
  std::string_view name;
  int args;
};
constexpr OperatorSpec kOperators[] = {
    {"+", 2}, {"-", 2},  {"*", 2}, {"/", 2},  {"//", 2},  {"%", 2},  {"==", 2},  {"!=", 2}, {"<", 2},
    {"<=", 2}, {">", 2}, {">=", 2}, {"and", 2}, {"or", 2}, {"not", 1}, {"neg", 1}, {"if", 3}};

// What an expression may name where it stands.
struct Scope {
  const Names* captures = nullptr;  // nullptr: none
  const Names* dims = nullptr;
};

class Validator {
 public:
  explicit Validator(const plan::Plan& plan) : plan_(plan) {}
  Result<void> Run();

 private:
  Result<void> Header();
  Result<void> Loc(const plan::Location& loc);
  Result<void> Expr(const plan::Expr& expr, const Scope& scope, int depth = 0);
  Result<void> Call(const plan::Call& call, const Scope& scope, int depth);
  Result<void> OptionalExpr(bool present, const plan::Expr& expr, std::string_view what, const Scope& scope);
  Result<void> Pattern(const plan::Pattern& pattern, const Scope& scope, int depth = 0);
  Result<void> Part(const plan::Part& part, const Scope& scope, int depth);
  Result<void> Capture(const plan::Capture& capture);
  Result<void> Regex(const std::string& text);
  Result<void> CollectCaptures(const plan::Pattern& pattern, Names& captures);
  Result<void> Collect(const plan::Pipeline& pipeline, Names& captures, Names& dims, int depth);
  Result<void> Pipeline(const plan::Pipeline& pipeline, const Scope& scope);
  Result<void> Shape(const plan::ShapePattern& shape, const Scope& scope);
  Result<void> Op(const plan::Op& op, const Scope& scope);
  Result<void> ArgValue(const ArgSpec& spec, const plan::Expr& value, const Scope& scope);
  Result<void> Variable(const plan::Variable& variable);
  Result<void> Rename(const plan::Rename& rename);
  Result<void> Rule(const plan::Rule& rule);
  Result<void> Layer(const plan::Layer& layer);
  Result<void> ModuleIs(const plan::ModuleIs& module);
  Result<void> Drop(const plan::Drop& drop);
  Result<void> Init(const plan::Init& init);
  Result<void> Policy(const plan::TargetPolicy& policy);
  Result<void> Assert(const plan::Assert& assertion);
  // A pattern that stands alone, with the condition that may use its captures.
  Result<void> NameAndWhen(bool present, const plan::Pattern& pattern, bool has_when, const plan::Expr& when);

  const plan::Plan& plan_;
  Names variables_;  // those before the one being checked
  Names layers_;
  std::unordered_map<std::string, Names> regexes_;  // those that compiled, with their named groups
};

Result<void> Validator::Header() {
  if (plan_.edition() != 1) {
    return Bad(fmt::format("the plan is of language edition {}, this ckmap knows edition 1", plan_.edition()));
  }
  if (plan_.files().empty()) return Bad("it names no file that it was compiled from");
  for (const std::string* separator : {&plan_.source_separator(), &plan_.target_separator()}) {
    if (separator->size() > 8 || EscapeText(*separator) != *separator) {
      return Bad(fmt::format("{} is no separator of names", Quote(*separator)));
    }
  }
  return ForEach(plan_.files(), "files", [](const plan::SourceFile& file) -> Result<void> {
    if (file.name().empty()) return Bad("a file without a name");
    const std::string& digest = file.sha256();
    if (digest.size() != 64 || digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return Bad(fmt::format("the digest of {} is no SHA-256", Quote(file.name())));
    }
    if (file.level() > 1000) return TooMany(fmt::format("{} has level {}", Quote(file.name()), file.level()));
    return {};
  });
}

Result<void> Validator::Loc(const plan::Location& loc) {
  if (loc.file() >= static_cast<uint32_t>(plan_.files_size())) {
    return Bad(fmt::format("a place in file {} of {}", loc.file(), plan_.files_size()));
  }
  return {};
}

// ---- expressions -----------------------------------------------------------------------------------

Result<void> Validator::Expr(const plan::Expr& expr, const Scope& scope, int depth) {
  if (depth > kMaxExprDepth) {
    return TooMany(fmt::format("an expression nests more than {} levels deep", kMaxExprDepth));
  }
  CKMAP_RETURN_IF_ERROR(Loc(expr.loc()));
  const auto known = [](const Names* names, const std::string& name) {
    return names != nullptr && names->count(name) > 0;
  };
  switch (expr.kind_case()) {
    case plan::Expr::kInt:
    case plan::Expr::kText:
    case plan::Expr::kBoolean:
    case plan::Expr::kNone:
      return {};
    case plan::Expr::kNumber:
      if (!std::isfinite(expr.number())) return Bad("a number that is not finite");
      return {};
    case plan::Expr::kVariable:
      if (variables_.count(expr.variable()) > 0) return {};
      return Bad(fmt::format("variable {} is not defined before its use", Quote(expr.variable())));
    case plan::Expr::kCapture:
      if (known(scope.captures, expr.capture())) return {};
      return Bad(fmt::format("capture {} is not bound", Quote(expr.capture())));
    case plan::Expr::kDim:
      if (known(scope.dims, expr.dim())) return {};
      return Bad(fmt::format("size {} is not bound", Quote(expr.dim())));
    case plan::Expr::kCall:
      return Call(expr.call(), scope, depth);
    case plan::Expr::kList:
      return ForEach(expr.list().items(), "list", [&](const plan::Expr& item) -> Result<void> {
        if (item.kind_case() == plan::Expr::kName) return Bad("a tensor name where a value belongs");
        return Expr(item, scope, depth + 1);
      });
    case plan::Expr::kName: {
      Names own;
      CKMAP_RETURN_IF_ERROR(CollectCaptures(expr.name(), own));
      if (!own.empty()) return Bad(fmt::format("capture {} inside an expression", Quote(*own.begin())));
      return Pattern(expr.name(), scope, depth + 1);
    }
    case plan::Expr::KIND_NOT_SET:
      break;
  }
  return Bad("an expression without a value");
}

Result<void> Validator::Call(const plan::Call& call, const Scope& scope, int depth) {
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
    return Bad(fmt::format("function {} does not exist in this version", Quote(call.function())));
  }
  if (call.args_size() < least || call.args_size() > most) {
    return Bad(fmt::format("{} has {} arguments", Quote(call.function()), call.args_size()));
  }
  for (int i = 0; i < call.args_size(); ++i) {
    const bool is_name = call.args(i).kind_case() == plan::Expr::kName;
    if (is_name != (takes_name && i == 0)) {
      return Bad(fmt::format("argument {} of {} is {}a tensor name", i + 1, Quote(call.function()),
                             is_name ? "" : "not "));
    }
    CKMAP_RETURN_IF_ERROR(Expr(call.args(i), scope, depth + 1));
  }
  return {};
}

Result<void> Validator::OptionalExpr(bool present, const plan::Expr& expr, std::string_view what,
                                     const Scope& scope) {
  if (!present) return {};
  if (expr.kind_case() == plan::Expr::kName) return Bad(fmt::format("{}: a tensor name where a value belongs", what));
  if (Result<void> result = Expr(expr, scope); !result) return std::move(result).error().Context(what);
  return {};
}

// ---- names -----------------------------------------------------------------------------------------

Result<void> Validator::Regex(const std::string& text) {
  if (text.empty()) return Bad("an empty regular expression");
  if (regexes_.count(text) > 0) return {};
  if (regexes_.size() >= static_cast<size_t>(kMaxRegexes)) {
    return TooMany(fmt::format("the plan has more than {} regular expressions", kMaxRegexes));
  }
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxRegexMemory);
  const RE2 regex(text, options);
  if (!regex.ok()) return Bad(fmt::format("regular expression {}: {}", Quote(text), EscapeText(regex.error())));
  Names& groups = regexes_[text];
  for (const auto& [name, group] : regex.NamedCapturingGroups()) groups.insert(name);
  return {};
}

Result<void> Validator::Capture(const plan::Capture& capture) {
  if (capture.name().empty()) return Bad("a capture without a name");
  if (capture.choices_size() > kMaxOptions) {
    return TooMany(fmt::format("capture {} has {} choices", Quote(capture.name()), capture.choices_size()));
  }
  if (capture.kind() == plan::Capture::CHOICE && capture.choices().empty()) {
    return Bad(fmt::format("capture {} has no choices", Quote(capture.name())));
  }
  if (capture.gather() && capture.kind() != plan::Capture::INT) {
    return Bad(fmt::format("capture {} gathers what is no integer", Quote(capture.name())));
  }
  if (capture.kind() == plan::Capture::REGEX) return Regex(capture.regex());
  return {};
}

Result<void> Validator::CollectCaptures(const plan::Pattern& pattern, Names& captures) {
  for (const plan::Part& part : pattern.parts()) {
    if (part.has_capture()) captures.insert(part.capture().name());
  }
  if (pattern.regex().empty()) return {};
  CKMAP_RETURN_IF_ERROR(Regex(pattern.regex()));
  captures.insert(regexes_[pattern.regex()].begin(), regexes_[pattern.regex()].end());
  return {};
}

Result<void> Validator::Part(const plan::Part& part, const Scope& scope, int depth) {
  switch (part.kind_case()) {
    case plan::Part::kLiteral:
      return {};
    case plan::Part::kCapture:
      return Capture(part.capture());
    case plan::Part::kAlternatives:
      if (part.alternatives().options().empty()) return Bad("alternatives without an option");
      if (part.alternatives().options_size() > kMaxOptions) {
        return TooMany(fmt::format("{} alternatives in one name", part.alternatives().options_size()));
      }
      return {};
    case plan::Part::kExpr:
      if (part.expr().kind_case() == plan::Expr::kName) return Bad("a tensor name inside a tensor name");
      return Expr(part.expr(), scope, depth);
    case plan::Part::kReference:
      if (scope.captures != nullptr && scope.captures->count(part.reference()) > 0) return {};
      return Bad(fmt::format("capture {} is not bound", Quote(part.reference())));
    case plan::Part::KIND_NOT_SET:
      break;
  }
  return Bad("an empty part of a name");
}

Result<void> Validator::Pattern(const plan::Pattern& pattern, const Scope& scope, int depth) {
  Result<void> result;
  if (pattern.parts_size() > kMaxPatternParts) {
    result = TooMany(fmt::format("more than {} parts", kMaxPatternParts));
  } else if (!pattern.regex().empty() && !pattern.parts().empty()) {
    result = Bad("both a regular expression and parts");
  } else if (!pattern.regex().empty()) {
    result = Regex(pattern.regex());
  } else {
    result = ForEach(pattern.parts(), "parts", [&](const plan::Part& part) { return Part(part, scope, depth); });
  }
  if (!result) return std::move(result).error().Context(fmt::format("name {}", Quote(pattern.text())));
  return {};
}

Result<void> Validator::NameAndWhen(bool present, const plan::Pattern& pattern, bool has_when,
                                    const plan::Expr& when) {
  if (!present) return Bad("a statement without a name");
  if (pattern.parts().empty() && pattern.regex().empty()) return Bad("an empty name");
  Names captures;
  CKMAP_RETURN_IF_ERROR(CollectCaptures(pattern, captures));
  const Scope scope{.captures = &captures};
  CKMAP_RETURN_IF_ERROR(Pattern(pattern, scope));
  return OptionalExpr(has_when, when, "when", scope);
}

// ---- rules -----------------------------------------------------------------------------------------

Result<void> Validator::Collect(const plan::Pipeline& pipeline, Names& captures, Names& dims, int depth) {
  if (depth > kMaxPipelineDepth) {
    return TooMany(fmt::format("a pipeline nests more than {} levels deep", kMaxPipelineDepth));
  }
  for (const plan::Term& term : pipeline.terms()) {
    for (const plan::Dim& dim : term.shape().dims()) {
      if (dim.kind_case() == plan::Dim::kBind) dims.insert(dim.bind());
    }
    CKMAP_RETURN_IF_ERROR(term.has_pipeline() ? Collect(term.pipeline(), captures, dims, depth + 1)
                                              : CollectCaptures(term.pattern(), captures));
  }
  return {};
}

Result<void> Validator::Shape(const plan::ShapePattern& shape, const Scope& scope) {
  CKMAP_RETURN_IF_ERROR(Loc(shape.loc()));
  if (shape.dims_size() > 64) return TooMany(fmt::format("a shape of {} axes", shape.dims_size()));
  int rests = 0;
  return ForEach(shape.dims(), "shape", [&](const plan::Dim& dim) -> Result<void> {
    switch (dim.kind_case()) {
      case plan::Dim::kBind:
        if (dim.bind().empty()) return Bad("a size without a name");
        return {};
      case plan::Dim::kExpr:
        return OptionalExpr(true, dim.expr(), "size", scope);
      case plan::Dim::kAny:
        return {};
      case plan::Dim::kRest:
        if (++rests > 1) return Bad("`...` twice in one shape");
        return {};
      case plan::Dim::KIND_NOT_SET:
        break;
    }
    return Bad("an empty size");
  });
}

Result<void> Validator::ArgValue(const ArgSpec& spec, const plan::Expr& value, const Scope& scope) {
  const auto kind = value.kind_case();
  const bool is_list = kind == plan::Expr::kList;
  const bool wants_list = spec.type == ArgType::kIntList || spec.type == ArgType::kDims;
  const bool wants_text = spec.type == ArgType::kText || spec.type == ArgType::kWord || spec.type == ArgType::kDType;
  const bool absent = kind == plan::Expr::kNone;
  if ((absent && spec.required) || (is_list && !wants_list) || (kind == plan::Expr::kText && !wants_text) ||
      kind == plan::Expr::kName || (kind == plan::Expr::kBoolean) ||
      (wants_text && (kind == plan::Expr::kInt || kind == plan::Expr::kNumber))) {
    return Bad("the value is of another type");
  }
  if (kind == plan::Expr::kText && spec.type == ArgType::kDType) {
    const auto dtype = ParseDType(value.text());
    if (!dtype || *dtype == DType::kAny) return Bad(fmt::format("{} is no dtype", Quote(value.text())));
  }
  if (kind == plan::Expr::kText && spec.type == ArgType::kWord) {
    if (fmt::format("|{}|", spec.choices).find(fmt::format("|{}|", value.text())) == std::string::npos) {
      return Bad(fmt::format("{} is not one of {}", Quote(value.text()), spec.choices));
    }
  }
  if (is_list && value.list().items_size() > kMaxOptions) {
    return TooMany(fmt::format("a list of {} values", value.list().items_size()));
  }
  return Expr(value, scope);
}

Result<void> Validator::Op(const plan::Op& op, const Scope& scope) {
  CKMAP_RETURN_IF_ERROR(Loc(op.loc()));
  const OpSpec* spec = FindOp(op.name());
  if (spec == nullptr) return Bad(fmt::format("operation {} does not exist in this version", Quote(op.name())));
  Names given;
  for (const plan::Argument& arg : op.args()) {
    const auto known = std::find_if(spec->args.begin(), spec->args.end(),
                                    [&](const ArgSpec& candidate) { return candidate.name == arg.name(); });
    const std::string where = fmt::format("argument {} of {}", Quote(arg.name()), spec->name);
    if (known == spec->args.end()) return Bad(where + ": there is no such argument");
    if (!given.insert(arg.name()).second) return Bad(where + ": given twice");
    if (!arg.has_value()) return Bad(where + ": without a value");
    if (Result<void> result = ArgValue(*known, arg.value(), scope); !result) {
      return std::move(result).error().Context(where);
    }
  }
  for (const ArgSpec& arg : spec->args) {
    if (arg.required && given.count(arg.name) == 0) {
      return Bad(fmt::format("{} lacks its argument `{}`", spec->name, arg.name));
    }
  }
  return {};
}

Result<void> Validator::Pipeline(const plan::Pipeline& pipeline, const Scope& scope) {
  if (pipeline.terms().empty()) return Bad("a side of a rule without a name");
  const auto check_term = [&](const plan::Term& term) -> Result<void> {
    CKMAP_RETURN_IF_ERROR(Shape(term.shape(), scope));
    switch (term.kind_case()) {
      case plan::Term::kPattern:
        if (term.pattern().parts().empty() && term.pattern().regex().empty()) return Bad("an empty name");
        return Pattern(term.pattern(), scope);
      case plan::Term::kPipeline:
        return Pipeline(term.pipeline(), scope);
      case plan::Term::KIND_NOT_SET:
        break;
    }
    return Bad("an empty term");
  };
  CKMAP_RETURN_IF_ERROR(ForEach(pipeline.terms(), "terms", check_term));
  return ForEach(pipeline.ops(), "ops", [&](const plan::Op& op) { return Op(op, scope); });
}

Result<void> Validator::Rule(const plan::Rule& rule) {
  CKMAP_RETURN_IF_ERROR(Loc(rule.loc()));
  Names captures;
  Names dims;
  CKMAP_RETURN_IF_ERROR(Collect(rule.source(), captures, dims, 0));
  CKMAP_RETURN_IF_ERROR(Collect(rule.target(), captures, dims, 0));
  Names ranged;
  for (const plan::Range& range : rule.ranges()) {
    if (range.capture().empty() || !ranged.insert(range.capture()).second) {
      return Bad(fmt::format("the range of {} is given twice", Quote(range.capture())));
    }
    if (!range.has_begin() || !range.has_end()) return Bad("a range without its ends");
    captures.insert(range.capture());
  }
  const Scope scope{.captures = &captures, .dims = &dims};
  const Scope no_captures;
  for (const plan::Range& range : rule.ranges()) {
    CKMAP_RETURN_IF_ERROR(OptionalExpr(true, range.begin(), "where", no_captures));
    CKMAP_RETURN_IF_ERROR(OptionalExpr(true, range.end(), "where", no_captures));
  }
  for (const plan::Term& term : rule.target().terms()) {
    if (!term.has_pattern()) return Bad("a target that is no name");
  }
  if (!rule.target().ops().empty()) return Bad("an operation on the target's side");
  CKMAP_RETURN_IF_ERROR(Pipeline(rule.source(), scope));
  CKMAP_RETURN_IF_ERROR(Pipeline(rule.target(), scope));
  return OptionalExpr(rule.has_when(), rule.when(), "when", scope);
}

// ---- statements ------------------------------------------------------------------------------------

Result<void> Validator::Variable(const plan::Variable& variable) {
  CKMAP_RETURN_IF_ERROR(Loc(variable.loc()));
  if (variable.name().empty()) return Bad("a variable without a name");
  if (!variable.is_param() && !variable.has_value()) {
    return Bad(fmt::format("`let` {} has no value", Quote(variable.name())));
  }
  if (variable.fixed() && !variable.has_value()) {
    return Bad(fmt::format("{} is fixed, but to no value", Quote(variable.name())));
  }
  CKMAP_RETURN_IF_ERROR(OptionalExpr(variable.has_value(), variable.value(), Quote(variable.name()), Scope{}));
  if (!variables_.insert(variable.name()).second) {
    return Bad(fmt::format("variable {} is defined twice", Quote(variable.name())));
  }
  return {};
}

Result<void> Validator::Rename(const plan::Rename& rename) {
  CKMAP_RETURN_IF_ERROR(Loc(rename.loc()));
  if (rename.from().parts().empty()) return Bad("a rename of nothing");
  for (const plan::Pattern* side : {&rename.from(), &rename.to()}) {
    for (const plan::Part& part : side->parts()) {
      if (part.has_alternatives() || part.capture().gather()) return Bad("a rename that makes a list");
    }
    if (!side->regex().empty()) return Bad("a rename with a whole-name regular expression");
  }
  Names captures;
  CKMAP_RETURN_IF_ERROR(CollectCaptures(rename.from(), captures));
  const Scope scope{.captures = &captures};
  CKMAP_RETURN_IF_ERROR(Pattern(rename.from(), scope));
  for (const plan::Part& part : rename.to().parts()) {
    if (part.has_capture()) captures.insert(part.capture().name());
  }
  return Pattern(rename.to(), scope);
}

Result<void> Validator::Layer(const plan::Layer& layer) {
  CKMAP_RETURN_IF_ERROR(Loc(layer.loc()));
  if (layer.name().empty() || !layers_.insert(layer.name()).second) {
    return Bad(fmt::format("layer {} is defined twice", Quote(layer.name())));
  }
  CKMAP_RETURN_IF_ERROR(OptionalExpr(layer.has_when(), layer.when(), "when", Scope{}));
  CKMAP_RETURN_IF_ERROR(ForEach(layer.rules(), "rules", [&](const plan::Rule& rule) { return Rule(rule); }));
  return ForEach(layer.drops(), "drops", [&](const plan::Drop& drop) { return Drop(drop); });
}

Result<void> Validator::ModuleIs(const plan::ModuleIs& module) {
  CKMAP_RETURN_IF_ERROR(Loc(module.loc()));
  if (layers_.count(module.layer()) == 0) return Bad(fmt::format("layer {} is not defined", Quote(module.layer())));
  // The root has no name.
  if (module.has_module() && module.module().parts().empty() && module.module().regex().empty()) {
    return OptionalExpr(module.has_when(), module.when(), "when", Scope{});
  }
  return NameAndWhen(module.has_module(), module.module(), module.has_when(), module.when());
}

Result<void> Validator::Drop(const plan::Drop& drop) {
  CKMAP_RETURN_IF_ERROR(Loc(drop.loc()));
  return NameAndWhen(drop.has_pattern(), drop.pattern(), drop.has_when(), drop.when());
}

Result<void> Validator::Init(const plan::Init& init) {
  CKMAP_RETURN_IF_ERROR(Loc(init.loc()));
  const bool constant = init.kind() == plan::Init::CONSTANT;
  const bool normal = init.kind() == plan::Init::NORMAL;
  Names given;
  for (const plan::Argument& arg : init.args()) {
    const std::string& name = arg.name();
    const bool known = (constant && name == "value") || (normal && (name == "mean" || name == "std" || name == "seed"));
    if (!known || !given.insert(name).second || !arg.has_value()) {
      return Bad(fmt::format("argument {} of init is unknown, twice there or empty", Quote(name)));
    }
    CKMAP_RETURN_IF_ERROR(OptionalExpr(true, arg.value(), name, Scope{}));
  }
  if (constant && given.empty()) return Bad("`constant` without its value");
  return NameAndWhen(init.has_pattern(), init.pattern(), init.has_when(), init.when());
}

Result<void> Validator::Policy(const plan::TargetPolicy& policy) {
  CKMAP_RETURN_IF_ERROR(Loc(policy.loc()));
  const bool allows = policy.kind() == plan::TargetPolicy::ALLOW_MISSING || policy.kind() == plan::TargetPolicy::ALLOW_UNUSED;
  if (allows && !policy.has_pattern()) return Bad("`allow` without a name");
  if (policy.kind() == plan::TargetPolicy::CAST) {
    for (const std::string* dtype : {&policy.cast_from(), &policy.cast_to()}) {
      const bool may_be_any = dtype == &policy.cast_from();
      if (may_be_any && dtype->empty()) continue;
      const auto parsed = ParseDType(*dtype);
      if (!parsed || (*parsed == DType::kAny && !may_be_any)) return Bad(fmt::format("{} is no dtype", Quote(*dtype)));
    }
    const std::string& overflow = policy.overflow();
    if (!overflow.empty() && overflow != "error" && overflow != "saturate" && overflow != "inf") {
      return Bad(fmt::format("{} is not one of error, saturate, inf", Quote(overflow)));
    }
  }
  return policy.has_pattern() ? NameAndWhen(true, policy.pattern(), false, {}) : Result<void>();
}

Result<void> Validator::Assert(const plan::Assert& assertion) {
  CKMAP_RETURN_IF_ERROR(Loc(assertion.loc()));
  if (!assertion.has_condition()) return Bad("an assert without a condition");
  return OptionalExpr(true, assertion.condition(), "assert", Scope{});
}

Result<void> Validator::Run() {
  CKMAP_RETURN_IF_ERROR(Header());
  CKMAP_RETURN_IF_ERROR(ForEach(plan_.variables(), "variables", [&](const auto& item) { return Variable(item); }));
  CKMAP_RETURN_IF_ERROR(ForEach(plan_.renames(), "renames", [&](const auto& item) { return Rename(item); }));
  CKMAP_RETURN_IF_ERROR(ForEach(plan_.layers(), "layers", [&](const auto& item) { return Layer(item); }));
  CKMAP_RETURN_IF_ERROR(ForEach(plan_.modules(), "modules", [&](const auto& item) { return ModuleIs(item); }));
  CKMAP_RETURN_IF_ERROR(ForEach(plan_.rules(), "rules", [&](const auto& item) { return Rule(item); }));
  CKMAP_RETURN_IF_ERROR(ForEach(plan_.drops(), "drops", [&](const auto& item) { return Drop(item); }));
  CKMAP_RETURN_IF_ERROR(ForEach(plan_.inits(), "inits", [&](const auto& item) { return Init(item); }));
  CKMAP_RETURN_IF_ERROR(ForEach(plan_.policies(), "policies", [&](const auto& item) { return Policy(item); }));
  return ForEach(plan_.asserts(), "asserts", [&](const auto& item) { return Assert(item); });
}

}  // namespace

Result<void> ValidatePlan(const plan::Plan& plan) {
  Result<void> result = Validator(plan).Run();
  if (!result) return std::move(result).error().Context("invalid plan");
  return {};
}

}  // namespace ckmap
