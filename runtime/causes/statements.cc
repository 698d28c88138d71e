#include "runtime/causes/statements.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

void SetPlace(plan::Location& loc) {
  loc.set_line(1);
  loc.set_column(1);
}

bool IsPlain(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-' ||
         c == '/' || c == ':';
}

// `n`, `n:int`, `n+1`, `a,b`: the inside of braces.
void SetBraces(std::string_view inside, plan::Part& part) {
  if (inside.find(',') != std::string_view::npos) {
    while (true) {
      const size_t comma = inside.find(',');
      part.mutable_alternatives()->add_options(std::string(inside.substr(0, comma)));
      if (comma == std::string_view::npos) return;
      inside.remove_prefix(comma + 1);
    }
  }
  if (const size_t colon = inside.find(':'); colon != std::string_view::npos) {
    part.mutable_capture()->set_name(std::string(inside.substr(0, colon)));
    part.mutable_capture()->set_kind(inside.substr(colon + 1) == "int" ? plan::Capture::INT : plan::Capture::PATH);
    return;
  }
  const size_t sign = inside.find_first_of("+-");
  if (sign == std::string_view::npos) {
    part.set_reference(std::string(inside));
    return;
  }
  int64_t number = 0;
  std::from_chars(inside.data() + sign + 1, inside.data() + inside.size(), number);
  plan::Call& call = *part.mutable_expr()->mutable_call();
  call.set_function(std::string(inside.substr(sign, 1)));
  call.add_args()->set_capture(std::string(inside.substr(0, sign)));
  call.add_args()->set_int_(number);
}

plan::Expr IntegerExpr(int64_t value) {
  plan::Expr expr;
  if (value >= 0) {
    expr.set_int_(value);
  } else {
    expr.mutable_call()->set_function("neg");
    expr.mutable_call()->add_args()->set_int_(-value);
  }
  return expr;
}

void SetSide(const std::vector<std::string>& names, plan::Pipeline& side) {
  for (const std::string& name : names) *side.add_terms()->mutable_pattern() = PatternOf(name);
}

std::string NamesText(const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (const std::string& name : names) quoted.push_back(fmt::format("\"{}\"", name));
  return fmt::format("{}", fmt::join(quoted, ", "));
}

}  // namespace

plan::Pattern PatternOf(std::string_view text) {
  plan::Pattern pattern;
  pattern.set_text(std::string(text));
  std::string literal;
  int unnamed = 0;
  const auto flush = [&] {
    if (!literal.empty()) pattern.add_parts()->set_literal(std::exchange(literal, {}));
  };
  while (!text.empty()) {
    if (text.front() == '{') {
      flush();
      const size_t end = text.find('}');
      SetBraces(text.substr(1, end - 1), *pattern.add_parts());
      text.remove_prefix(end + 1);
    } else if (text.front() == '*') {
      flush();
      const bool path = text.starts_with("**");
      plan::Capture& capture = *pattern.add_parts()->mutable_capture();
      capture.set_name(fmt::format("{}{}", path ? "**" : "*", ++unnamed));
      capture.set_kind(path ? plan::Capture::PATH : plan::Capture::SEGMENT);
      text.remove_prefix(path ? 2 : 1);
    } else {
      literal += text.front();
      text.remove_prefix(1);
    }
  }
  flush();
  return pattern;
}

std::optional<std::string> Quoted(std::string_view name) {
  if (!std::all_of(name.begin(), name.end(), IsPlain)) return std::nullopt;
  return fmt::format("\"{}\"", name);
}

std::string OpText::Text() const {
  const bool positional = name == "permute" || name == "reshape";
  std::vector<std::string> args;
  for (const auto& [arg, word] : words) args.push_back(fmt::format("{}={}", arg, word));
  for (const auto& [arg, value] : numbers) args.push_back(fmt::format("{}={}", arg, value));
  for (const auto& [arg, values] : lists) {
    const std::string list = fmt::format("{}", fmt::join(values, ", "));
    args.push_back(positional ? list : fmt::format("{}=[{}]", arg, list));
  }
  return fmt::format("{}({})", name, fmt::join(args, ", "));
}

plan::Op OpText::Op() const {
  plan::Op op;
  op.set_name(name);
  op.set_text(Text());
  SetPlace(*op.mutable_loc());
  for (const auto& [arg, value] : numbers) {
    plan::Argument& argument = *op.add_args();
    argument.set_name(arg);
    *argument.mutable_value() = IntegerExpr(value);
  }
  for (const auto& [arg, values] : lists) {
    plan::Argument& argument = *op.add_args();
    argument.set_name(arg);
    for (const int64_t value : values) *argument.mutable_value()->mutable_list()->add_items() = IntegerExpr(value);
  }
  for (const auto& [arg, word] : words) {
    plan::Argument& argument = *op.add_args();
    argument.set_name(arg);
    argument.mutable_value()->set_text(word);
  }
  return op;
}

std::string RuleText::Text() const {
  std::string text = NamesText(sources);
  for (const OpText& op : ops) text += " | " + op.Text();
  text += fmt::format(" {} {}", both_ways ? "<->" : "->", NamesText(targets));
  if (!exactly.empty()) text += fmt::format(" exactly \"{}\"", exactly);
  return text + ";";
}

std::string RenameText(std::string_view from, std::string_view to, bool of_target) {
  return fmt::format("rename {}\"{}\" -> \"{}\";", of_target ? "target " : "", from, to);
}

void AddRename(plan::Plan& plan, std::string_view from, std::string_view to, bool of_target) {
  plan::Rename& rename = *plan.add_renames();
  SetPlace(*rename.mutable_loc());
  *rename.mutable_from() = PatternOf(from);
  *rename.mutable_to() = PatternOf(to);
  rename.set_of_target(of_target);
}

void AddRule(plan::Plan& plan, const RuleText& text) {
  plan::Rule& rule = *plan.add_rules();
  SetPlace(*rule.mutable_loc());
  rule.set_text(text.Text());
  rule.set_reversible(text.both_ways);
  rule.set_exactly(text.exactly);
  SetSide(text.sources, *rule.mutable_source());
  SetSide(text.targets, *rule.mutable_target());
  for (const OpText& op : text.ops) *rule.mutable_source()->add_ops() = op.Op();
}

void AddDrop(plan::Plan& plan, std::string_view pattern, std::string_view equals) {
  plan::Drop& drop = *plan.add_drops();
  SetPlace(*drop.mutable_loc());
  *drop.mutable_pattern() = PatternOf(pattern);
  if (equals.empty()) return;
  drop.mutable_equals()->set_text(fmt::format("\"{}\"", equals));
  *drop.mutable_equals()->mutable_tensor() = PatternOf(equals);
}

void AddInit(plan::Plan& plan, std::string_view pattern, plan::Init::Kind kind) {
  plan::Init& init = *plan.add_inits();
  SetPlace(*init.mutable_loc());
  *init.mutable_pattern() = PatternOf(pattern);
  init.set_kind(kind);
}

void AddPolicy(plan::Plan& plan, plan::TargetPolicy::Kind kind, std::string_view pattern, std::string_view from,
               std::string_view to) {
  plan::TargetPolicy& policy = *plan.add_policies();
  SetPlace(*policy.mutable_loc());
  policy.set_kind(kind);
  if (!pattern.empty()) *policy.mutable_pattern() = PatternOf(pattern);
  policy.set_cast_from(std::string(from));
  policy.set_cast_to(std::string(to));
  if (kind == plan::TargetPolicy::CAST) policy.set_overflow("error");
}

std::string EditedFile(const plan::Plan& plan) { return plan.files(0).name(); }

}  // namespace ckmap
