#include "compiler/sema/shapes/shape_proof.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "compiler/sema/overlap/guards.h"
#include "compiler/sema/overlap/languages.h"
#include "compiler/sema/shapes/shapes.h"
#include "compiler/sema/shapes/size.h"

namespace ckmap {
namespace {

constexpr size_t kMaxParams = 5;                                                // of one claim
constexpr std::array<int64_t, kMaxParams + 1> kLargest = {0, 24, 16, 9, 6, 4};  // value tried, by their number
constexpr size_t kMaxAsserts = 1000;   // of one program; beyond them nothing is tried
constexpr size_t kMaxTrials = 40'000;  // of one program
constexpr size_t kMaxShared = 64;      // rules whose sizes of one tensor are compared
constexpr size_t kMaxPairs = 2'000;    // of such rules, in one program

struct Failure {
  Span span;
  std::string what;
};

// What values of the parameters do to the sizes of a claim.
struct Verdict {
  bool counts = true;  // false: they say nothing
  std::optional<Failure> failure;
};

// Sizes that should fit, for the values that a table of variables holds.
struct Claim {
  Span span;
  std::set<std::string> params;
  std::vector<const TypedExpr*> sizes;       // that it is about
  std::vector<const TypedExpr*> conditions;  // under which it is made
  bool fits_without = false;                 // where these do not hold all is well; else nothing is said then
  bool open = true;                          // it is not proved for all parameters by the sizes as polynomials
  std::function<Verdict(const VariableTable&)> check;
};

// The integers that an expression holds.
void NumbersOf(const TypedExpr& expr, std::set<int64_t>& numbers) {
  if (expr.kind == TypedExpr::Kind::kInt) numbers.insert(expr.integer);
  for (const TypedExpr& arg : expr.args) NumbersOf(arg, numbers);
}

// `when` and the ranges of a rule as one condition.
std::optional<TypedExpr> ConditionOf(const TypedRule& rule) {
  std::optional<TypedExpr> all = rule.when;
  const auto add = [&](TypedExpr condition) {
    all = all ? TypedExpr::Call("and", ValueType::kBool, {*std::move(all), std::move(condition)}, rule.span)
              : std::move(condition);
  };
  for (const TypedRange& range : rule.ranges) {
    TypedExpr capture;
    capture.kind = TypedExpr::Kind::kCapture;
    capture.type = ValueType::kInt;
    capture.text = range.capture;
    add(TypedExpr::Call(">=", ValueType::kBool, {capture, range.begin}, range.span));
    add(TypedExpr::Call("<", ValueType::kBool, {capture, range.end}, range.span));
  }
  return all;
}

// Whether sizes of two brackets can differ for one tensor.
bool MayDiffer(const TypedShape& a, const TypedShape& b) {
  if (a.dims.size() != b.dims.size()) return true;
  for (size_t i = 0; i < a.dims.size(); ++i) {
    const TypedDim &x = a.dims[i], &y = b.dims[i];
    if (x.kind == TypedDim::Kind::kExpr && y.kind == TypedDim::Kind::kExpr && !SameExpr(x.expr, y.expr)) return true;
  }
  return false;
}

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
  if (expr.kind == Kind::kCapture || expr.kind == Kind::kDim || expr.kind == Kind::kName || expr.kind == Kind::kInvalid)
    return false;
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
      : rules_(rules), variables_(variables), trial_(variables), order_(order), sink_(sink) {
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
    if (asserts_.size() > kMaxAsserts)
      return Undecided(rules_.asserts[kMaxAsserts].span, fmt::format("there are more than {} asserts", kMaxAsserts));
    for (const TypedRule& rule : rules_.derived) ProveRule(rule);
    for (const TypedRule& rule : rules_.rules) ProveRule(rule);
    for (const TypedLayer& layer : rules_.layers) {
      for (const TypedRule& rule : layer.rules) ProveRule(rule);
    }
    for (const TypedRule& rule : rules_.rules) {
      if (rule.valid) ProveShared(rule, rule.source);
    }
    if (undecided_ > 1)
      Undecided(*last_, fmt::format("the sizes of {} more rules were not proved either", undecided_ - 1), true);
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
    claim.span = rule.source.span;
    for (const TypedExpr* size : sizes) Collect(*size, claim.params);
    if (claim.params.empty()) return;
    DiagnosticSink known;
    claim.open = !CheckShapes(rule, trial_, known);
    if (known.has_errors()) return;  // told already
    if (rule.when) claim.conditions.push_back(&*rule.when);
    claim.sizes = sizes;
    std::vector<const TypedExpr*> counts = CountsOf(rule);
    claim.check = [&rule, sizes, counts](const VariableTable& variables) -> Verdict {
      for (const TypedExpr* size : sizes) {
        if (const TypedExpr* bad = WithoutValue(*size, variables))
          return {true, Failure{bad->span, "this has no value: a division leaves a remainder, or is one by zero"}};
      }
      bool empty = false;
      for (const TypedExpr* count : counts) {
        const auto value = EvaluateInt(*count, variables);
        if (value && *value < 0) return {true, Failure{count->span, fmt::format("this is a size of {}", *value)}};
        empty = empty || value == 0;
      }
      DiagnosticSink found;
      CheckShapes(rule, variables, found);
      if (!found.has_errors()) return {!empty, std::nullopt};
      const Diagnostic first = found.Sorted().front();
      return {true, Failure{first.primary, first.message}};
    };
    Prove(std::move(claim));
  }

  // Expressions of a rule that are numbers of elements and depend on a parameter; a -1 that stands for itself is not
  // one.
  std::vector<const TypedExpr*> CountsOf(const TypedRule& rule) const {
    std::vector<const TypedExpr*> counts;
    const auto add = [&](const TypedExpr& expr) {
      if (expr.type == ValueType::kInt && Closed(expr) && !EvaluateInt(expr, variables_)) counts.push_back(&expr);
    };
    const std::function<void(const TypedPipeline&)> visit = [&](const TypedPipeline& pipeline) {
      for (const TypedTerm& term : pipeline.terms) {
        if (const auto* inner = std::get_if<1>(&term.kind)) visit(**inner);
        if (!term.shape) continue;
        for (const TypedDim& dim : term.shape->dims) {
          if (dim.kind == TypedDim::Kind::kExpr) add(dim.expr);
        }
      }
      for (const TypedOp& op : pipeline.ops) {
        for (const auto& [name, value] : op.args) {
          if (name != "shape" && name != "sizes" && op.spec->name != "rearrange") continue;
          add(value);
          for (const TypedExpr& item : value.args) add(item);
        }
      }
    };
    visit(rule.source);
    visit(rule.target);
    return counts;
  }

  // Two rules that give sizes of one source tensor.
  void ProveShared(const TypedRule& rule, const TypedPipeline& pipeline) {
    for (const TypedTerm& term : pipeline.terms) {
      if (const auto* inner = std::get_if<1>(&term.kind)) {
        ProveShared(rule, **inner);
        continue;
      }
      const auto& pattern = std::get<0>(term.kind);
      if (!term.shape || std::any_of(term.shape->dims.begin(), term.shape->dims.end(),
                                     [](const TypedDim& dim) { return dim.kind == TypedDim::Kind::kRest; }))
        continue;
      CompareShared(pattern, rule, *term.shape);
    }
  }

  void CompareShared(const TypedPattern& pattern, const TypedRule& rule, const TypedShape& shape) {
    std::vector<Shared>& others = shared_[pattern.text];
    bool known = false;
    for (const Shared& other : others) {
      const TypedRule& first = *other.rule;
      const bool differ = MayDiffer(*other.shape, shape);
      known = known || (!differ && first.unit == rule.unit && first.overrides == rule.overrides && !first.when &&
                        first.ranges.empty());
      // Of two ranks one rule is not applied where the other is.
      if (!differ || first.overrides != rule.overrides ||
          rules_.units[first.unit].level != rules_.units[rule.unit].level)
        continue;
      if (++pairs_ > kMaxPairs)
        return Undecided(shape.span, fmt::format("more than {} pairs of rules give sizes of one tensor", kMaxPairs));
      ProveEqual(pattern, first, *other.shape, rule, shape);
    }
    if (known) return;
    if (others.size() >= kMaxShared)
      return Undecided(shape.span, fmt::format("more than {} rules give sizes of `{}`", kMaxShared, pattern.text));
    others.push_back({&rule, &shape});
  }

  // Whether the condition of `a` implies that of `b`, or (`contradicts`) its contrary, where both read one tensor by
  // this pattern.
  bool Implies(const TypedPattern& pattern, const TypedRule& a, const TypedRule& b, bool contradicts) {
    if (!base_) {
      base_.emplace(variables_);
      for (const TypedAssert& assertion : rules_.asserts) base_->Require(assertion.condition);
    }
    Guards guards = *base_;
    if (const std::optional<TypedExpr> condition = ConditionOf(a)) guards.Require(*condition);
    const std::optional<TypedExpr> other = ConditionOf(b);
    if (!other) return !contradicts;
    CaptureNames names;
    names.second = true;
    std::vector<std::string> captures;
    for (const TypedPart& part : pattern.parts) {
      if (part.kind == TypedPart::Kind::kCapture) captures.push_back(part.capture.name);
      if (part.kind == TypedPart::Kind::kReference) captures.push_back(part.text);
      if (part.kind == TypedPart::Kind::kExpr) Languages::CapturesOf(part.expr, captures);
    }
    for (const std::string& capture : captures) names.same.emplace(capture, capture);
    guards.Require(contradicts ? *other : TypedExpr::Call("not", ValueType::kBool, {*other}, other->span), &names);
    return guards.Decide() == Answer::kNo;
  }

  void ProveEqual(const TypedPattern& pattern, const TypedRule& first, const TypedShape& left, const TypedRule& second,
                  const TypedShape& right) {
    const std::string& name = pattern.text;
    Claim claim;
    claim.span = right.span;
    for (const TypedShape* shape : {&left, &right}) {
      for (const TypedDim& dim : shape->dims) {
        if (dim.kind != TypedDim::Kind::kExpr) continue;
        claim.sizes.push_back(&dim.expr);
        Collect(dim.expr, claim.params);
      }
    }
    bool closed = true;
    for (const TypedRule* rule : {&first, &second}) {
      closed = closed && rule->ranges.empty() && (!rule->when || Closed(*rule->when));
      if (!rule->when) continue;
      claim.conditions.push_back(&*rule->when);
      Collect(*rule->when, claim.params);
    }
    if (first.when || second.when || !first.ranges.empty() || !second.ranges.empty()) {
      if (Implies(pattern, first, second, true)) return;
      // If neither is applied to all that the other is applied to, they may be for different tensors.
      const bool always = Implies(pattern, first, second, false) || Implies(pattern, second, first, false);
      if (!always && !closed) return;
      claim.fits_without = !always;
    }
    claim.check = [&, name](const VariableTable& variables) -> Verdict {
      if (left.dims.size() != right.dims.size()) {
        return {true, Failure{right.span, fmt::format("`{}` has {} axes here and {} in another rule", name,
                                                      right.dims.size(), left.dims.size())}};
      }
      bool all_known = true;
      for (size_t i = 0; i < left.dims.size(); ++i) {
        const auto a = Number(left.dims[i], variables), b = Number(right.dims[i], variables);
        if (a && b && *a != *b)
          return {true, Failure{right.dims[i].span,
                                fmt::format("axis {} of `{}` is {} here and {} in another rule", i, name, *b, *a)}};
        for (const TypedDim* dim : {&left.dims[i], &right.dims[i]}) {
          all_known =
              all_known && (dim->kind != TypedDim::Kind::kExpr || !Closed(dim->expr) || Number(*dim, variables));
        }
      }
      return {all_known, std::nullopt};
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
        const bool near = std::any_of(condition.params.begin(), condition.params.end(),
                                      [&](const std::string& name) { return params.contains(name); });
        if (!near || std::find(asserts.begin(), asserts.end(), condition.expr) != asserts.end()) continue;
        asserts.push_back(condition.expr);
        params.insert(condition.params.begin(), condition.params.end());
        grown = true;
      }
    }
    if (params.size() > kMaxParams)
      return Undecided(claim, fmt::format("they depend on more than {} parameters", kMaxParams));
    std::vector<VariableTable::Entry*> entries;
    std::set<size_t> lets;
    for (const std::string& name : params) {
      entries.push_back(entries_[name]);
      lets.insert(lets_[name].begin(), lets_[name].end());
    }
    const auto tried = [](const VariableTable::Entry* entry) {
      return entry->variable.type == ValueType::kInt || entry->variable.type == ValueType::kBool;
    };
    if (!std::all_of(entries.begin(), entries.end(), tried))
      return Undecided(claim, "they depend on a parameter that is not a whole number");
    Outcome outcome;
    Try(claim, entries, lets, asserts, Trials(entries.size()), outcome);
    // Larger numbers, made of those that the sizes and the conditions hold, where small ones decide nothing.
    if (!outcome.fits && !entries.empty())
      Try(claim, entries, lets, asserts, LargeTrials(claim, asserts, entries.size()), outcome);
    Assign(entries, lets, nullptr);
    if (outcome.failure) return Report(*outcome.failure, outcome.values, outcome.fits);
    if (outcome.stopped || (!outcome.fits && !outcome.allowed)) {
      Undecided(claim, outcome.stopped ? "there are too many parameters to try"
                                       : "no small values of the parameters fulfil the conditions");
    }
  }

  struct Outcome {
    std::optional<Failure> failure;  // the first
    std::string values;              // for which it was found
    bool fits = false;               // for some values
    bool allowed = false;            // some values fulfil the conditions
    bool stopped = false;            // not all were tried
  };

  void Try(const Claim& claim, const std::vector<VariableTable::Entry*>& entries, const std::set<size_t>& lets,
           const std::vector<const TypedExpr*>& asserts, const std::vector<std::vector<int64_t>>& trials,
           Outcome& outcome) {
    for (const std::vector<int64_t>& trial : trials) {
      if (outcome.fits && outcome.failure) return;
      if (++trials_ > kMaxTrials) {
        outcome.stopped = true;
        return;
      }
      const bool any_bool = std::any_of(entries.begin(), entries.end(),
                                        [](const auto* entry) { return entry->variable.type == ValueType::kBool; });
      if (any_bool && !IsTrial(entries, trial)) continue;
      Assign(entries, lets, &trial);
      if (!Allowed(asserts)) continue;
      if (!Allowed(claim.conditions)) {
        outcome.fits = outcome.fits || claim.fits_without;
        continue;
      }
      outcome.allowed = true;
      const Verdict verdict = claim.check(trial_);
      outcome.fits = outcome.fits || (verdict.counts && !verdict.failure);
      if (!verdict.failure || outcome.failure) continue;
      outcome.failure = verdict.failure;
      for (size_t i = 0; i < entries.size(); ++i) {
        const bool boolean = entries[i]->variable.type == ValueType::kBool;
        outcome.values += fmt::format("{}{}={}", i > 0 ? ", " : "", entries[i]->variable.qualified,
                                      boolean ? (trial[i] == 2 ? "true" : "false") : std::to_string(trial[i]));
      }
    }
  }

  // Truth values are tried as 1 and 2.
  static bool IsTrial(const std::vector<VariableTable::Entry*>& entries, const std::vector<int64_t>& trial) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i]->variable.type == ValueType::kBool && trial[i] > 2) return false;
    }
    return true;
  }

  static std::vector<std::vector<int64_t>> LargeTrials(const Claim& claim, const std::vector<const TypedExpr*>& asserts,
                                                       size_t count) {
    constexpr std::array<size_t, kMaxParams + 1> kNumbers = {0, 200, 40, 12, 6, 4};
    std::set<int64_t> numbers, more;
    for (const auto* exprs : {&claim.sizes, &claim.conditions, &asserts}) {
      for (const TypedExpr* expr : *exprs) NumbersOf(*expr, numbers);
    }
    for (const int64_t a : numbers) {
      for (const int64_t near : {a - 1, a, a + 1}) more.insert(near);
      for (const int64_t b : numbers) {
        if (b > 1 && a % b == 0) more.insert(a / b);
        int64_t product = 0;
        if (!__builtin_mul_overflow(a, b, &product)) more.insert(product);
      }
    }
    std::erase_if(more, [](int64_t number) { return number < 1 || number > (int64_t{1} << 40); });
    std::vector<int64_t> values(more.begin(), more.end());
    if (values.size() > kNumbers[count]) values.resize(kNumbers[count]);
    std::vector<std::vector<int64_t>> trials = {{}};
    for (size_t i = 0; i < count; ++i) {
      std::vector<std::vector<int64_t>> longer;
      for (const std::vector<int64_t>& trial : trials) {
        for (const int64_t value : values) {
          longer.push_back(trial);
          longer.back().push_back(value);
        }
      }
      trials = std::move(longer);
    }
    return trials;
  }

  void Undecided(const Claim& claim, std::string why) {
    if (claim.open) Undecided(claim.span, std::move(why));
  }
  void Undecided(Span span, std::string why, bool last = false) {
    last_ = span;
    if (!last && ++undecided_ > 1) return;
    sink_.Report(DiagnosticKind::kNotDecided, span, "whether these sizes fit for all parameters was not decided")
        .Note(std::move(why))
        .Help("bind checks the sizes with the parameters that it is given")
        .Emit();
  }

  void Report(const Failure& failure, const std::string& values, bool fits) {
    if (!told_.insert({failure.span.file.index, failure.span.begin}).second) return;
    auto report =
        fits ? sink_.Report(DiagnosticKind::kShapesMayFail, failure.span, "these sizes fit for some parameters only")
             : sink_.Report(DiagnosticKind::kShapeMismatch, failure.span,
                            values.empty() ? failure.what : "no parameters make these sizes fit");
    if (other_) static_cast<void>(std::move(report).With(*other_, "its sizes by the other rule"));
    if (!values.empty()) static_cast<void>(std::move(report).Note(fmt::format("with {}: {}", values, failure.what)));
    std::move(report)
        .Help(fits ? "say what must hold: `assert hidden % heads == 0;` or the like"
                   : "correct the sizes, or the asserts")
        .Emit();
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
  void Assign(const std::vector<VariableTable::Entry*>& entries, const std::set<size_t>& lets,
              const std::vector<int64_t>* values) {
    for (size_t i = 0; i < entries.size(); ++i) {
      const bool boolean = entries[i]->variable.type == ValueType::kBool;
      entries[i]->constant.reset();
      entries[i]->size.reset();
      if (values == nullptr) continue;
      entries[i]->constant = boolean ? Constant((*values)[i] == 2) : Constant((*values)[i]);
      if (!boolean) entries[i]->size = Polynomial((*values)[i]);
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

  struct Shared {
    const TypedRule* rule;
    const TypedShape* shape;
  };

  const RuleSet& rules_;
  const VariableTable& variables_;
  VariableTable trial_;  // a copy, in which the params get values
  const std::vector<size_t>& order_;
  DiagnosticSink& sink_;
  std::map<std::string, std::set<std::string>> params_;   // of each variable: the params that it depends on
  std::map<std::string, VariableTable::Entry*> entries_;  // of each open param
  std::map<std::string, std::vector<size_t>> lets_;       // that depend on a param: places in order_
  std::vector<Condition> asserts_;
  std::optional<Guards> base_;                         // what the asserts require
  std::map<std::string, std::vector<Shared>> shared_;  // by source pattern
  size_t pairs_ = 0;                                   // of rules that were compared
  size_t undecided_ = 0;
  std::optional<Span> last_;  // of what was not decided
  std::map<size_t, std::vector<std::vector<int64_t>>> all_trials_;
  std::set<std::pair<uint32_t, uint32_t>> told_;
  std::optional<Span> other_;
  size_t trials_ = 0;
};

}  // namespace

void ProveShapes(const RuleSet& rules, const VariableTable& variables, const std::vector<size_t>& order,
                 DiagnosticSink& sink) {
  Prover(rules, variables, order, sink).Run();
}

}  // namespace ckmap
