// A parameter that has the wrong value: others are tried.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "runtime/bind/values/variables.h"
#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

constexpr size_t kMaxValues = 80;

// Sizes of axes, and whole ratios of two of them: what parameters of networks are.
std::vector<int64_t> Candidates(const Situation& situation, std::optional<int64_t> now) {
  std::set<int64_t> sizes, values;
  for (const Manifest* manifest : {&situation.source, &situation.target}) {
    for (const TensorInfo& tensor : manifest->tensors()) {
      if (sizes.size() > 60) break;
      for (const int64_t size : tensor.shape) {
        if (size > 0) sizes.insert(size);
      }
    }
  }
  for (const int64_t a : sizes) {
    for (const int64_t b : sizes) {
      if (a % b == 0 && a / b <= 512) values.insert(a / b);
    }
    values.insert(a);
    for (const int64_t divisor :
         {2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 25, 28, 32, 40, 48, 64, 80, 96, 128}) {
      if (a % divisor == 0) values.insert(divisor);
    }
  }
  if (now) values.erase(*now);
  // Near ones first: a wrong config is mostly one of a sibling.
  std::vector<int64_t> list(values.begin(), values.end());
  const auto distance = [&](int64_t value) {
    const double base = now && *now > 0 ? static_cast<double>(*now) : 16;
    const double ratio = static_cast<double>(value) / base;
    return ratio > 1 ? ratio : 1 / std::max(ratio, 1e-9);
  };
  std::stable_sort(list.begin(), list.end(), [&](int64_t a, int64_t b) { return distance(a) < distance(b); });
  if (list.size() > kMaxValues) list.resize(kMaxValues);
  return list;
}

// Where its value comes from, in words.
std::string Origin(const plan::Variable& variable, const Situation& situation) {
  if (situation.bind.defines.contains(variable.name())) return "given with -D";
  if (variable.fixed()) return "fixed when the rules were compiled";
  if (!variable.config_key().empty() && !situation.bind.config_json.empty())
    return fmt::format("`{}` of the config, or its default", variable.config_key());
  return "its default";
}

}  // namespace

void SuggestParameters(const Findings& findings, Hypotheses& out) {
  const Situation& situation = findings.situation;
  std::vector<Issue> ignored;
  const auto variables = BindVariables(situation.plan, situation.bind.defines, situation.bind.config_json,
                                       situation.bind.config_path, ignored);
  if (!variables) return;
  for (int i = 0; i < situation.plan.variables_size(); ++i) {
    const plan::Variable& variable = situation.plan.variables(i);
    if (!variable.is_param()) continue;
    const Value now = variables->Variable(variable.name());
    const auto suggest = [&](const std::string& value, const plan::Expr& fixed) {
      const std::string name = variable.name();
      const bool has = now.index() != 0;
      const std::string was =
          has ? fmt::format("is {} ({})", FormatValue(now), Origin(variable, situation)) : "has no value";
      out.push_back({.kind = "parameter",
                     .message = fmt::format("`{}` {}; {} fits", name, was, value),
                     .apply =
                         [name, value, i, fixed, is_fixed = variable.fixed()](Situation& s) {
                           if (is_fixed)
                             *s.plan.mutable_variables(i)->mutable_value() = fixed;
                           else
                             s.bind.defines[name] = value;
                         },
                     .edit = {.option = fmt::format("-D {}={}", name, value)},
                     .evident = has,
                     .order = 14,
                     .group = "parameter " + name});
    };
    plan::Expr expr;
    if (variable.type() == plan::Variable::BOOL) {
      const bool* flag = std::get_if<bool>(&now);
      // A switch that neither the config nor the user sets says what no checkpoint can tell.
      const bool told = situation.bind.defines.contains(variable.name()) || !variable.config_key().empty();
      if (flag == nullptr || !told) continue;
      expr.set_boolean(!*flag);
      suggest(*flag ? "false" : "true", expr);
    } else if (variable.type() == plan::Variable::INT) {
      const int64_t* number = std::get_if<int64_t>(&now);
      for (const int64_t value : Candidates(situation, number ? std::optional(*number) : std::nullopt)) {
        expr.set_int_(value);
        suggest(fmt::format("{}", value), expr);
      }
    }
  }
}

}  // namespace ckmap
