#include "compiler/sema/shapes/shape_proof.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "compiler/sema/shapes/shapes.h"
#include "compiler/sema/shapes/size.h"

namespace ckmap {
namespace {

constexpr size_t kMaxParams = 5;                                    // of one claim
constexpr std::array<int64_t, kMaxParams + 1> kLargest = {0, 24, 16, 9, 6, 4};  // value tried, by their number
constexpr size_t kMaxAsserts = 1000;                                // of one program; beyond them nothing is tried
constexpr size_t kMaxTrials = 40'000;                               // of one program

struct Failure {
  Span span;
  std::string what;
};

// Sizes that should fit, for the values that a table of variables holds.
struct Claim {
  std::set<std::string> params;
  std::vector<const TypedExpr*> conditions;  // under which it is made
  std::function<std::optional<Failure>(const VariableTable&)> check;
};

// Every expression of a rule that makes a size: brackets and arguments.
void SizesOf(const TypedPipeline& pipeline, std::vector<const TypedExpr*>& sizes) {
  for (const TypedTerm& term : pipeline.terms) {
    if (const auto* inner = std::get_if<1>(&term.kind)) SizesOf(**inner, sizes);
    if (!term.shape) continue;
    for (const TypedDim& dim : term.shape->dims) {
      if (dim.kind == TypedDim::Kind::kExpr) sizes.push_back(&dim.expr);
    }
  }
  for (const TypedOp& op : pipeline.ops) {
    for (const auto& [name, value] : op.args) sizes.push_back(&value);
  }
}

bool Closed(const TypedExpr& expr) {
  using Kind = TypedExpr::Kind;
  if (expr.kind == Kind::kCapture || expr.kind == Kind::kDim || expr.kind == Kind::kName || expr.kind == Kind::kInvalid) return false;
  return std::all_of(expr.args.begin(), expr.args.end(), Closed);
}

// The first integer in `expr` that has no value although all that it is made of has.
const TypedExpr* WithoutValue(const TypedExpr& expr, const VariableTable& variables) {
  if (expr.type == ValueType::kInt && Closed(expr)) return EvaluateInt(expr, variables) ? nullptr : &expr;
  for (const TypedExpr& arg : expr.args) {
    if (const TypedExpr* found = WithoutValue(arg, variables)) return found;
  }
  return nullptr;
}

class Prover {
 public:
  Prover(const RuleSet& rules, const VariableTable& variables, const std::vector<size_t>& order, DiagnosticSink& sink)
      : rules_(rules), trial_(variables), order_(order), sink_(sink) {
    for (size_t i = 0; i < order_.size(); ++i) {
      VariableTable::Entry& entry = trial_.entries()[order_[i]];
      const TypedVariable& variable = entry.variable;
      std::set<std::string>& params = params_[variable.qualified];
      if (variable.is_param && !variable.fixed) {
        params.insert(variable.qualified);
        entries_[variable.qualified] = &entry;
        continue;
      }
      if (variable.value) Collect(*variable.value, params);
      for (const std::string& name : params) lets_[name].push_back(i);
    }
    for (const TypedAssert& assertion : rules_.asserts) {
      Condition condition{&assertion.condition, {}};
      Collect(assertion.condition, condition.params);
      asserts_.push_back(std::move(condition));
    }
  }

  void Run() {
    if (asserts_.size() > kMaxAsserts) return;
    for (const TypedRule& rule : rules_.rules) ProveRule(rule);
    for (const TypedLayer& layer : rules_.layers) {
      for (const TypedRule& rule : layer.rules) ProveRule(rule);
    }
    for (const TypedRule& rule : rules_.rules) {
      if (rule.valid) ProveShared(rule, rule.source);
    }
  }

 private:
  struct Condition {
    const TypedExpr* expr;
    std::set<std::string> params;
  };

  // Past kMaxParams the exact set is of no use.
  void Collect(const TypedExpr& expr, std::set<std::string>& params) const {
    if (params.size() > kMaxParams) return;
    if (expr.kind == TypedExpr::Kind::kVariable) {
      const auto known = params_.find(expr.text);
      if (known != params_.end()) params.insert(known->second.begin(), known->second.end());
    }
    for (const TypedExpr& arg : expr.args) Collect(arg, params);
  }

  void ProveRule(const TypedRule& rule) {
    if (!rule.valid) return;
    std::vector<const TypedExpr*> sizes;
    SizesOf(rule.source, sizes);
    SizesOf(rule.target, sizes);
    Claim claim;
    for (const TypedExpr* size : sizes) Collect(*size, claim.params);
    if (claim.params.empty()) return;
    DiagnosticSink known;
    CheckShapes(rule, trial_, known);
    if (known.has_errors()) return;  // told already
    if (rule.when) claim.conditions.push_back(&*rule.when);
    claim.check = [&rule, sizes](const VariableTable& variables) -> std::optional<Failure> {
      for (const TypedExpr* size : sizes) {
        if (const TypedExpr* bad = WithoutValue(*size, variables)) return Failure{bad->span, "this has no value: a division leaves a remainder, or is one by zero"};
      }
      DiagnosticSink found;
      CheckShapes(rule, variables, found);
      if (!found.has_errors()) return std::nullopt;
      const Diagnostic first = found.Sorted().front();
      return Failure{first.primary, first.message};
    };
    Prove(std::move(claim));
  }

  // Two rules that give sizes of one source tensor.
  void ProveShared(const TypedRule& rule, const TypedPipeline& pipeline) {
    for (const TypedTerm& term : pipeline.terms) {
      if (const auto* inner = std::get_if<1>(&term.kind)) {
        ProveShared(rule, **inner);
        continue;
      }
      const auto& pattern = std::get<0>(term.kind);
      if (!term.shape || std::any_of(term.shape->dims.begin(), term.shape->dims.end(), [](const TypedDim& dim) { return dim.kind == TypedDim::Kind::kRest; })) continue;
      const auto [first, fresh] = shapes_.try_emplace(pattern.text, &rule, &*term.shape);
      if (!fresh) ProveEqual(pattern.text, *first->second.first, *first->second.second, rule, *term.shape);
    }
  }

  void ProveEqual(const std::string& name, const TypedRule& first, const TypedShape& left, const TypedRule& second, const TypedShape& right) {
    Claim claim;
    for (const TypedShape* shape : {&left, &right}) {
      for (const TypedDim& dim : shape->dims) {
        if (dim.kind == TypedDim::Kind::kExpr) Collect(dim.expr, claim.params);
      }
    }
    for (const TypedRule* rule : {&first, &second}) {
      if (rule->when) claim.conditions.push_back(&*rule->when);
    }
    claim.check = [&, name](const VariableTable& variables) -> std::optional<Failure> {
      if (left.dims.size() != right.dims.size()) {
        return Failure{right.span, fmt::format("`{}` has {} axes here and {} in another rule", name, right.dims.size(), left.dims.size())};
      }
      for (size_t i = 0; i < left.dims.size(); ++i) {
        const auto a = Number(left.dims[i], variables), b = Number(right.dims[i], variables);
        if (a && b && *a != *b) return Failure{right.dims[i].span, fmt::format("axis {} of `{}` is {} here and {} in another rule", i, name, *b, *a)};
      }
      return std::nullopt;
    };
    other_ = left.span;
    Prove(std::move(claim));
    other_.reset();
  }

  static std::optional<int64_t> Number(const TypedDim& dim, const VariableTable& variables) {
    if (dim.kind != TypedDim::Kind::kExpr) return std::nullopt;
    return EvaluateInt(dim.expr, variables);
  }

  // ---- trying values -------------------------------------------------------------------------------

  void Prove(Claim claim) {
    std::vector<const TypedExpr*> asserts;
    std::set<std::string> params = claim.params;
    for (bool grown = true; grown;) {  // asserts bring in the params that they tie to these
      grown = false;
      for (const Condition& condition : asserts_) {
        const bool near = std::any_of(condition.params.begin(), condition.params.end(), [&](const std::string& name) { return params.contains(name); });
        if (!near || std::find(asserts.begin(), asserts.end(), condition.expr) != asserts.end()) continue;
        asserts.push_back(condition.expr);
        params.insert(condition.params.begin(), condition.params.end());
        grown = true;
      }
    }
    if (params.size() > kMaxParams) return;
    std::vector<VariableTable::Entry*> entries;
    std::set<size_t> lets;
    for (const std::string& name : params) {
      entries.push_back(entries_[name]);
      lets.insert(lets_[name].begin(), lets_[name].end());
    }
    if (std::any_of(entries.begin(), entries.end(), [](const auto* entry) { return entry->variable.type != ValueType::kInt; })) return;
    std::optional<Failure> failure;
    std::string values;
    bool fits = false;
    for (const std::vector<int64_t>& trial : Trials(entries.size())) {
      if (++trials_ > kMaxTrials) break;
      Assign(entries, lets, &trial);
      if (!Allowed(asserts) || !Allowed(claim.conditions)) continue;
      std::optional<Failure> found = claim.check(trial_);
      fits = fits || !found;
      if (found && !failure) {
        failure = std::move(found);
        for (size_t i = 0; i < entries.size(); ++i) values += fmt::format("{}{}={}", i > 0 ? ", " : "", entries[i]->variable.qualified, trial[i]);
      }
      if (fits && failure) break;
    }
    Assign(entries, lets, nullptr);
    if (failure) Report(*failure, values, fits);
  }

  void Report(const Failure& failure, const std::string& values, bool fits) {
    if (!told_.insert({failure.span.file.index, failure.span.begin}).second) return;
    auto report = fits ? sink_.Report(DiagnosticKind::kShapesMayFail, failure.span, "these sizes fit for some parameters only")
                       : sink_.Report(DiagnosticKind::kShapeMismatch, failure.span, values.empty() ? failure.what : "no parameters make these sizes fit");
    if (other_) static_cast<void>(std::move(report).With(*other_, "its sizes by the other rule"));
    if (!values.empty()) static_cast<void>(std::move(report).Note(fmt::format("with {}: {}", values, failure.what)));
    std::move(report).Help(fits ? "say what must hold: `assert hidden % heads == 0;` or the like" : "correct the sizes, or the asserts").Emit();
  }

  // Every choice of `count` small numbers, smallest sum first.
  const std::vector<std::vector<int64_t>>& Trials(size_t count) {
    std::vector<std::vector<int64_t>>& trials = all_trials_[count];
    if (!trials.empty()) return trials;
    trials = {{}};
    for (size_t i = 0; i < count; ++i) {
      std::vector<std::vector<int64_t>> longer;
      for (const std::vector<int64_t>& trial : trials) {
        for (int64_t value = 1; value <= kLargest[count]; ++value) {
          longer.push_back(trial);
          longer.back().push_back(value);
        }
      }
      trials = std::move(longer);
    }
    std::stable_sort(trials.begin(), trials.end(), [](const auto& a, const auto& b) {
      return std::accumulate(a.begin(), a.end(), int64_t{0}) < std::accumulate(b.begin(), b.end(), int64_t{0});
    });
    return trials;
  }

  // No `values`: the params are open again.
  void Assign(const std::vector<VariableTable::Entry*>& entries, const std::set<size_t>& lets, const std::vector<int64_t>* values) {
    for (size_t i = 0; i < entries.size(); ++i) {
      entries[i]->constant = values == nullptr ? std::nullopt : std::optional<Constant>((*values)[i]);
      entries[i]->size = values == nullptr ? std::nullopt : std::optional<Polynomial>((*values)[i]);
    }
    for (const size_t let : lets) Settle(trial_.entries()[order_[let]], trial_);
  }

  // Whether conditions may hold. What has no value although nothing but params is in it never does.
  bool Allowed(const std::vector<const TypedExpr*>& conditions) const {
    return std::all_of(conditions.begin(), conditions.end(), [&](const TypedExpr* condition) {
      const auto value = EvaluateConstant(*condition, trial_);
      if (!value) return !Closed(*condition);
      const bool* holds = std::get_if<bool>(&*value);
      return holds == nullptr || *holds;
    });
  }

  const RuleSet& rules_;
  VariableTable trial_;  // a copy, in which the params get values
  const std::vector<size_t>& order_;
  DiagnosticSink& sink_;
  std::map<std::string, std::set<std::string>> params_;  // of each variable: the params that it depends on
  std::map<std::string, VariableTable::Entry*> entries_;  // of each open param
  std::map<std::string, std::vector<size_t>> lets_;       // that depend on a param: places in order_
  std::vector<Condition> asserts_;
  std::map<std::string, std::pair<const TypedRule*, const TypedShape*>> shapes_;  // by source pattern
  std::map<size_t, std::vector<std::vector<int64_t>>> all_trials_;
  std::set<std::pair<uint32_t, uint32_t>> told_;
  std::optional<Span> other_;
  size_t trials_ = 0;
};

}  // namespace

void ProveShapes(const RuleSet& rules, const VariableTable& variables, const std::vector<size_t>& order, DiagnosticSink& sink) {
  Prover(rules, variables, order, sink).Run();
}

}  // namespace ckmap
