#include "runtime/bind/explain/target_questions.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace ckmap {
namespace {

// The functions of `expr` that look at the target.
void CollectAsked(const plan::Expr& expr, std::set<std::string>& asked) {
  if (expr.has_call()) {
    if (expr.call().function().starts_with("target_")) asked.insert(expr.call().function());
    for (const plan::Expr& arg : expr.call().args()) CollectAsked(arg, asked);
  }
  for (const plan::Expr& item : expr.list().items()) CollectAsked(item, asked);
}

// "std.ckmap:19 asks `target_has`", of each condition that looks at the target.
std::vector<std::string> ConditionsOnTarget(const plan::Plan& plan) {
  std::vector<std::string> found;
  const auto add = [&](const auto& statement) {
    std::set<std::string> asked;
    CollectAsked(statement.when(), asked);
    for (const std::string& function : asked) {
      found.push_back(fmt::format("{}:{} asks `{}`", plan.files(static_cast<int>(statement.loc().file())).name(),
                                  statement.loc().line(), function));
    }
  };
  for (const plan::Rule& rule : plan.rules()) add(rule);
  for (const plan::Drop& drop : plan.drops()) add(drop);
  for (const plan::Layer& layer : plan.layers()) {
    add(layer);
    for (const plan::Rule& rule : layer.rules()) add(rule);
    for (const plan::Drop& drop : layer.drops()) add(drop);
  }
  return found;
}

}  // namespace

Issue NoTargetNote(const plan::Plan& plan) {
  constexpr size_t kShown = 5;
  std::vector<std::string> asked = ConditionsOnTarget(plan);
  const bool some = !asked.empty();
  if (asked.size() > kShown) {
    const size_t more = asked.size() - kShown;
    asked.resize(kShown);
    asked.push_back(fmt::format("and {} more", more));
  }
  return {"CK1241",
          some ? IssueSeverity::kWarning : IssueSeverity::kNote,
          "",
          some ? "there is no target, and some conditions ask for it: they see what the rules make of the source"
               : "there is no target: it is what the rules make of the source",
          std::move(asked),
          "to prove that it fits a network, give its names and shapes: --target"};
}

}  // namespace ckmap
