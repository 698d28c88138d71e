// Checks of the expressions and names inside a plan; a part of plan_validate.cc, nothing else needs
// it. Recursion follows the nesting of messages, which plan_wire.cc has bounded.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/result.h"
#include "runtime/base/text.h"

namespace ckmap {

namespace plan {
class Capture;
class Call;
class Contents;
class Expr;
class Location;
class Part;
class Pattern;
class Plan;
}  // namespace plan

using PlanNameSet = std::set<std::string, std::less<>>;

inline Error BadPlan(std::string message) { return {ErrorCode::kMalformed, std::move(message)}; }
inline Error PlanTooLarge(std::string message) { return {ErrorCode::kLimit, std::move(message)}; }

// Letters, digits and underscores; the name of a source that the run gives.
bool IsSourceName(std::string_view name);

// Runs `check(item)` over a repeated field; an error says which item it is in.
template <typename Items, typename Check>
Result<void> ForEachItem(const Items& items, std::string_view what, Check check) {
  for (int i = 0; i < items.size(); ++i) {
    if (Result<void> result = check(items[i]); !result) {
      return std::move(result).error().Context(fmt::format("{}[{}]", what, i));
    }
  }
  return {};
}

// What an expression may name where it stands, beside the variables defined so far.
struct PlanScope {
  const PlanNameSet* captures = nullptr;  // nullptr: none
  const PlanNameSet* dims = nullptr;
};

class PlanNames {
 public:
  explicit PlanNames(const plan::Plan& plan) : plan_(plan) {}

  // False if a variable of this name is there already.
  bool DefineVariable(const std::string& name) { return variables_.insert(name).second; }

  Result<void> Loc(const plan::Location& loc) const;
  Result<void> Expr(const plan::Expr& expr, const PlanScope& scope, int depth = 0);
  // Fine if it is not there; otherwise a value (no tensor name).
  Result<void> OptionalExpr(bool present, const plan::Expr& expr, std::string_view what, const PlanScope& scope);
  Result<void> Pattern(const plan::Pattern& pattern, const PlanScope& scope, int depth = 0);
  // Adds the captures that a pattern binds, the named groups of a regular expression among them.
  Result<void> CollectCaptures(const plan::Pattern& pattern, PlanNameSet& captures);
  // A pattern that stands alone, with the condition that may use its captures.
  Result<void> NameAndWhen(bool present, const plan::Pattern& pattern, bool has_when, const plan::Expr& when);
  Result<void> Contents(const plan::Contents& contents, const PlanScope& scope);

 private:
  Result<void> Call(const plan::Call& call, const PlanScope& scope, int depth);
  Result<void> Part(const plan::Part& part, const PlanScope& scope, int depth);
  Result<void> Capture(const plan::Capture& capture);
  Result<void> Regex(const std::string& text);

  const plan::Plan& plan_;
  PlanNameSet variables_;
  std::unordered_map<std::string, PlanNameSet> regexes_;  // those that compiled: their named groups
};

}  // namespace ckmap
