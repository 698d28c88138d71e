#include "runtime/bind/rules/application.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/bind/values/size_equation.h"
#include "runtime/ops/op_table.h"

namespace ckmap {
namespace {

struct DeferredSize {  // `[3 * D]` whose D may be bound further on
  const plan::Expr* expr;
  int64_t actual;
  std::string tensor;
  Shape shape;
  bool solved = false;  // it has bound a name
};

std::string DescribeShapePattern(const plan::ShapePattern& pattern, const Scope& scope) {
  std::vector<std::string> dims;
  for (const plan::Dim& dim : pattern.dims()) {
    if (dim.rest()) {
      dims.push_back("...");
    } else if (dim.any()) {
      dims.push_back("_");
    } else if (!dim.bind().empty()) {
      const Value value = scope.Dim(dim.bind());
      dims.push_back(value.index() == 0 ? dim.bind() : fmt::format("{}={}", dim.bind(), FormatValue(value)));
    } else {
      const auto value = EvaluateInt(dim.expr(), scope);
      dims.push_back(value ? fmt::format("{}", *value) : "?");
    }
  }
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

// Evaluates one application, collecting everything that does not fit.
class Evaluator {
 public:
  Evaluator(const BindContext& context, const plan::Rule& rule, const NamePrefix& prefix,
            const Application& application, std::vector<Issue>& issues)
      : context_(context),
        rule_(rule),
        prefix_(prefix),
        application_(application),
        scope_(context, prefix, application.captures),
        issues_(issues) {}

  ApplicationScope& scope() { return scope_; }
  const std::vector<size_t>& sources() const { return sources_; }
  std::vector<std::string>& ops() { return ops_; }

  Node Source(const plan::Pipeline& pipeline, bool outermost) {
    std::vector<Node> items;
    for (const plan::Term& term : pipeline.terms()) {
      Node node = term.has_pipeline() ? Source(term.pipeline(), false) : SourceTerm(term);
      if (term.has_shape()) {
        ForEachTensor(node,
                      [&](const TensorValue& tensor) { BindShape(term.shape(), tensor.value.shape, tensor.name); });
      }
      items.push_back(std::move(node));
    }
    if (outermost) return Finish(pipeline, std::move(items), false);
    return Finish(pipeline, std::move(items), true);
  }

  // The operations of a pipeline, after its terms; the outermost one's wait for CheckSizes.
  Node Finish(const plan::Pipeline& pipeline, std::vector<Node> items, bool apply) {
    Node node = items.size() == 1 ? std::move(items.front()) : Node::List(std::move(items));
    return apply ? RunOps(pipeline, std::move(node)) : node;
  }

  Node RunOps(const plan::Pipeline& pipeline, Node node) {
    BindOpenSizes();
    if (!issues_.empty()) return node;
    for (const plan::Op& op : pipeline.ops()) {
      std::string text;
      auto next = ApplyOp(op, std::move(node), scope_, TargetListSize(), &text);
      if (!next) {
        Report("CK1209", FirstSourceName(), fmt::format("`{}` does not fit: {}", op.text(), next.error().message()),
               "correct the operation, or the sizes it is given");
        return {};
      }
      ops_.push_back(std::move(text));
      node = *std::move(next);
    }
    return node;
  }

  // Deals the result out to the right side's names.
  void Assign(Node node, std::vector<RuleInstance::Write>& writes) {
    const plan::Pipeline& target = rule_.target();
    if (target.terms_size() == 1) return AssignTerm(target.terms(0), node, writes);
    if (!node.is_list || node.items.size() != static_cast<size_t>(target.terms_size())) {
      return Report("CK1210", FirstSourceName(),
                    fmt::format("the left side gives {}, the right side names {} tensors", DescribeStructure(node),
                                target.terms_size()),
                    "join or split on the left, so that both sides have the same number of tensors");
    }
    for (int i = 0; i < target.terms_size(); ++i) {
      AssignTerm(target.terms(i), node.items[static_cast<size_t>(i)], writes);
    }
  }

  // Sizes that are expressions: those whose names are known are compared, and one with one open name binds it.
  void CheckDeferred(bool final) {
    BindOpenSizes();
    for (const DeferredSize& size : deferred_) {
      if (size.solved) continue;
      const auto value = EvaluateInt(*size.expr, scope_);
      if (!value) {
        if (final) {
          Report("CK1216", size.tensor,
                 fmt::format("a size in brackets cannot be computed: {}", value.error().message()),
                 "bind the name in a bracket of the same rule, or make it a param or let");
        }
        continue;
      }
      if (*value != size.actual) {
        Report("CK1203", size.tensor,
               fmt::format("{} has shape {}: a size of {} is {} by the rule", size.tensor, FormatShape(size.shape),
                           size.actual, *value),
               "correct the size in brackets, or the parameters that it is computed from");
      }
    }
    if (final) deferred_.clear();
  }

  void BindOpenSizes() {
    for (bool bound = true; bound;) {
      bound = false;
      for (DeferredSize& size : deferred_) bound = Solve(size) || bound;
    }
  }

  // True: a name was bound.
  bool Solve(DeferredSize& size) {
    if (size.solved) return false;
    const std::optional<SizeEquation> equation = SolveSize(*size.expr, size.actual, scope_);
    if (!equation) return false;
    size.solved = true;
    if (equation->value) {
      scope_.dims.emplace(equation->name, *equation->value);
      return true;
    }
    Report("CK1203", size.tensor,
           fmt::format("{} has shape {}: {}", size.tensor, FormatShape(size.shape), equation->why),
           "correct the size in brackets; a `when` can leave tensors of other sizes to other rules");
    return false;
  }

  void BindShape(const plan::ShapePattern& pattern, const Shape& shape, const std::string& tensor) {
    const auto dims = static_cast<size_t>(pattern.dims_size());
    size_t rest = dims;
    for (size_t i = 0; i < dims; ++i) {
      if (pattern.dims(static_cast<int>(i)).rest()) rest = i;
    }
    const bool fits = rest == dims ? dims == shape.size() : dims - 1 <= shape.size();
    if (!fits) {
      return Report("CK1203", tensor,
                    fmt::format("{} has shape {}, the rule says {}", tensor, FormatShape(shape),
                                DescribeShapePattern(pattern, scope_)),
                    "correct the brackets, or reshape the tensor first");
    }
    const size_t skipped = rest == dims ? 0 : shape.size() - (dims - 1);
    for (size_t i = 0; i < dims; ++i) {
      if (i == rest) continue;
      BindDim(pattern, pattern.dims(static_cast<int>(i)), i < rest ? shape[i] : shape[i - 1 + skipped], shape, tensor);
    }
  }

  void Report(std::string code, std::string tensor, std::string message, std::string help) {
    std::erase(tensor, '`');
    issues_.push_back({std::move(code),
                       IssueSeverity::kError,
                       std::move(tensor),
                       std::move(message),
                       {fmt::format("the rule is {}: {}", context_.Where(rule_.loc()), rule_.text())},
                       std::move(help)});
    auto facts = std::make_shared<IssueFacts>();
    facts->sources = context_.visible.FilesOf(sources_);
    facts->file = rule_.loc().file();
    facts->line = rule_.loc().line();
    facts->column = rule_.loc().column();
    issues_.back().facts = std::move(facts);
  }

  // What an application that failed would have written, as far as it is known.
  std::vector<size_t> Intended() const {
    std::vector<size_t> targets;
    for (const plan::Term& term : rule_.target().terms()) {
      for (const std::vector<size_t>& choices : AllChoices(term.pattern())) {
        const auto name = Instantiate(term.pattern(), choices, scope_, application_.captures);
        const auto found = name ? context_.target.Find(prefix_.target + *name) : std::nullopt;
        if (found) targets.push_back(*found);
      }
    }
    return targets;
  }

 private:
  void BindDim(const plan::ShapePattern& pattern, const plan::Dim& dim, int64_t actual, const Shape& shape,
               const std::string& tensor) {
    if (dim.any()) return;
    if (dim.has_expr()) {
      deferred_.push_back({&dim.expr(), actual, tensor, shape, false});
      return;
    }
    const auto [it, added] = scope_.dims.emplace(dim.bind(), actual);
    if (added || it->second == actual) return;
    Report("CK1203", tensor,
           fmt::format("{} has shape {}, the rule says {}", tensor, FormatShape(shape),
                       DescribeShapePattern(pattern, scope_)),
           fmt::format("`{}` is {} by another tensor of the same rule: give sizes that differ names that differ",
                       dim.bind(), it->second));
  }

  std::string FirstSourceName() const {
    return sources_.empty() ? std::string() : context_.source[sources_.front()].name;
  }

  Node SourceTerm(const plan::Term& term) {
    if (application_.direct) return SourceTensor(*application_.direct);
    Captures captures = application_.captures;
    std::vector<size_t> choices;
    return SourceLevel(term, ListLevels(term.pattern()), 0, choices, captures);
  }

  Node SourceLevel(const plan::Term& term, const std::vector<ListLevel>& levels, size_t level,
                   std::vector<size_t>& choices, Captures& captures) {
    if (level == levels.size()) return SourceName(term, choices, captures);
    std::vector<Node> items;
    if (levels[level].gather.empty()) {
      for (size_t i = 0; i < levels[level].options.size(); ++i) {
        choices.push_back(i);
        items.push_back(SourceLevel(term, levels, level + 1, choices, captures));
        choices.pop_back();
      }
      return Node::List(std::move(items));
    }
    const std::string& name = levels[level].gather;
    for (const std::string& value : GatheredValues(term, name, captures)) {
      captures[name] = value;
      items.push_back(SourceLevel(term, levels, level + 1, choices, captures));
    }
    captures.erase(name);
    return Node::List(std::move(items));
  }

  Node SourceName(const plan::Term& term, const std::vector<size_t>& choices, const Captures& captures) {
    auto name = Instantiate(term.pattern(), choices, scope_, captures);
    if (!name) {
      NameIssue(name.error().message());
      return {};
    }
    const std::string full = prefix_.source + *name;
    const auto found = context_.source.Find(full);
    if (!found) {
      const std::string derived = context_.visible.WhatHolds(full);
      if (!derived.empty()) {
        Report("CK1207", full, fmt::format("`{}` is part of `{}`, and the rule needs it by itself", full, derived),
               fmt::format("use `{}`, or leave the tensor out of the rule that makes it", derived));
        return {};
      }
      Report("CK1207", full, fmt::format("`{}` is not in the source, and the rule needs it", full),
             "check the name; if the tensor may be absent, the rule needs a `when source_has(…)`");
      return {};
    }
    return SourceTensor(*found);
  }

  Node SourceTensor(size_t index) {
    if (std::find(sources_.begin(), sources_.end(), index) == sources_.end()) sources_.push_back(index);
    NoteDerived(index);
    TensorValue tensor;
    static_cast<PiecedTensor&>(tensor) = context_.visible.Whole(index);
    tensor.name = context_.source[index].name;
    return Node::Leaf(std::move(tensor));
  }

  // What a derived source was made by stands in front of what the rule does, once for each rule that derives.
  void NoteDerived(size_t index) {
    const DerivedSource* derived = context_.visible.derived(index);
    if (derived == nullptr || !derivations_.insert(derived->rule).second) return;
    ops_.insert(ops_.end(), derived->ops.begin(), derived->ops.end());
  }

  // All values of a gathering capture, in numeric order; they must be 0, 1, … without a hole. With a `where`, those of
  // its range: others are not of the list.
  std::vector<std::string> GatheredValues(const plan::Term& term, const std::string& name, const Captures& captures) {
    std::set<std::string> found;
    const auto gathered = application_.gathered.find(&term);
    if (gathered != application_.gathered.end()) {
      for (const Captures& tuple : gathered->second) {
        const bool same = std::all_of(tuple.begin(), tuple.end(), [&](const auto& entry) {
          const auto fixed = captures.find(entry.first);
          return fixed == captures.end() || fixed->second == entry.second;
        });
        if (same) found.insert(tuple.at(name));
      }
    }
    std::vector<int64_t> numbers;
    for (const std::string& text : found) {
      int64_t number = -1;
      std::from_chars(text.data(), text.data() + text.size(), number);
      numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    int64_t begin = 0;
    int64_t end = numbers.empty() ? 0 : numbers.back() + 1;
    if (const std::optional<Range> range = RangeOf(name)) {
      begin = range->begin;
      end = range->end;
    }
    ReportGaps(term, name, numbers, begin, end);
    std::vector<std::string> values;
    for (const int64_t number : numbers) values.push_back(fmt::format("{}", number));
    return values;
  }

  void ReportGaps(const plan::Term& term, const std::string& name, const std::vector<int64_t>& numbers, int64_t begin,
                  int64_t end) {
    std::vector<int64_t> missing, strange;
    size_t at = 0;
    for (int64_t expected = begin; expected < end && missing.size() < 9; ++expected) {
      while (at < numbers.size() && numbers[at] < expected) strange.push_back(numbers[at++]);
      if (at < numbers.size() && numbers[at] == expected) {
        ++at;
      } else {
        missing.push_back(expected);
      }
    }
    if (missing.empty()) strange.insert(strange.end(), numbers.begin() + static_cast<ptrdiff_t>(at), numbers.end());
    if (missing.empty() && strange.empty()) return;
    std::string what;
    if (!missing.empty()) what = fmt::format("{} is missing", fmt::join(missing, ", "));
    if (!strange.empty()) what += fmt::format("{}{} is outside", what.empty() ? "" : "; ", fmt::join(strange, ", "));
    Report("CK1208", prefix_.source + term.pattern().text(),
           fmt::format("`{{{}:int...}}` gathers {} of {}..{}: {}", name, numbers.size(), begin, end, what),
           "a gathered list must be complete; is a shard of the checkpoint missing?");
  }

  // How many tensors the innermost list of the right side names.
  size_t TargetListSize() const {
    const plan::Pipeline& target = rule_.target();
    for (const plan::Term& term : target.terms()) {
      const std::vector<ListLevel> levels = ListLevels(term.pattern());
      if (!levels.empty()) return levels.back().options.size();
    }
    return static_cast<size_t>(target.terms_size());
  }

  void AssignTerm(const plan::Term& term, const Node& node, std::vector<RuleInstance::Write>& writes) {
    Captures captures = application_.captures;
    std::vector<size_t> choices;
    AssignLevel(term, ListLevels(term.pattern()), 0, node, choices, captures, writes);
  }

  void AssignLevel(const plan::Term& term, const std::vector<ListLevel>& levels, size_t level, const Node& node,
                   std::vector<size_t>& choices, Captures& captures, std::vector<RuleInstance::Write>& writes) {
    if (level == levels.size()) {
      if (node.is_list && node.items.size() == 1) {
        return AssignLevel(term, levels, level, node.items.front(), choices, captures, writes);
      }
      if (node.is_list) return StructureIssue(term, node);
      return AssignName(term, node.tensor, choices, captures, writes);
    }
    const ListLevel& at = levels[level];
    const std::optional<Range> range = at.gather.empty() ? std::nullopt : RangeOf(at.gather);
    const size_t count = node.is_list ? node.items.size() : 1;
    if (range && range->size() != count) return CountIssue(at.gather, *range, node);
    const size_t size = at.gather.empty() ? at.options.size() : count;
    const int64_t first = range ? range->begin : 0;
    if (!node.is_list && (size == 1 || !at.gather.empty())) {
      if (at.gather.empty())
        choices.push_back(0);
      else
        captures[at.gather] = fmt::format("{}", first);
      AssignLevel(term, levels, level + 1, node, choices, captures, writes);
      if (at.gather.empty()) choices.pop_back();
      return;
    }
    if (!node.is_list || node.items.size() != size) return StructureIssue(term, node);
    for (size_t i = 0; i < size; ++i) {
      if (at.gather.empty())
        choices.push_back(i);
      else
        captures[at.gather] = fmt::format("{}", first + static_cast<int64_t>(i));
      AssignLevel(term, levels, level + 1, node.items[i], choices, captures, writes);
      if (at.gather.empty()) choices.pop_back();
    }
  }

  struct Range {
    int64_t begin = 0, end = 0;
    size_t size() const { return end > begin ? static_cast<size_t>(end - begin) : 0; }
  };

  // The `where` of a capture, if it has one that can be computed.
  std::optional<Range> RangeOf(const std::string& capture) const {
    for (const plan::Range& range : rule_.ranges()) {
      if (range.capture() != capture) continue;
      const auto begin = EvaluateInt(range.begin(), scope_), end = EvaluateInt(range.end(), scope_);
      if (begin && end) return Range{*begin, *end};
    }
    return std::nullopt;
  }

  void CountIssue(const std::string& gather, const Range& range, const Node& node) {
    Report("CK1210", FirstSourceName(),
           fmt::format("the left side gives {}, and `{{{}:int...}}` in {}..{} names {}", DescribeStructure(node),
                       gather, range.begin, range.end, range.size()),
           fmt::format("give `where {}` as many numbers as the left side gives tensors", gather));
  }

  void NameIssue(const std::string& why) {
    const std::string source = FirstSourceName();
    Report("CK1216", source, source.empty() ? why : fmt::format("the rule gives no name for `{}`: {}", source, why),
           "correct the name, or leave this tensor out of the rule with a `when`");
  }

  void StructureIssue(const plan::Term& term, const Node& node) {
    Report("CK1210", FirstSourceName(),
           fmt::format("the left side gives {}, which does not fit the names of `{}`", DescribeStructure(node),
                       term.pattern().text()),
           "join or split on the left, so that both sides have the same lists");
  }

  void AssignName(const plan::Term& term, const TensorValue& tensor, const std::vector<size_t>& choices,
                  const Captures& captures, std::vector<RuleInstance::Write>& writes) {
    auto name = Instantiate(term.pattern(), choices, scope_, captures);
    if (!name) return NameIssue(name.error().message());
    std::string full = prefix_.target.empty() ? *std::move(name) : prefix_.target + *name;
    if (term.has_shape()) BindShape(term.shape(), tensor.value.shape, full);
    const auto found = context_.deriving ? std::nullopt : context_.target.Find(full);
    // Most rules move whole tensors: what such a value is need not be kept for each of them.
    const plan::Pipeline& source = rule_.source();
    const bool whole =
        sources_.size() == 1 && source.ops().empty() && source.terms_size() == 1 && source.terms(0).has_pattern();
    auto value = whole ? nullptr : std::make_shared<PiecedTensor>(tensor);
    if (found) {
      writes.push_back({*found, {}, std::move(value)});
    } else {
      writes.push_back({RuleInstance::kNoTarget, std::move(full), std::move(value)});
    }
  }

  const BindContext& context_;
  const plan::Rule& rule_;
  const NamePrefix& prefix_;
  const Application& application_;
  ApplicationScope scope_;
  std::vector<Issue>& issues_;
  std::vector<size_t> sources_;
  std::vector<std::string> ops_;
  std::set<const plan::Rule*> derivations_;
  std::vector<DeferredSize> deferred_;
};

// Whether a right side whose names are all optional has none of them in the target.
bool OptionalTargetAbsent(const BindContext& context, const plan::Rule& rule, const NamePrefix& prefix,
                          const Scope& scope, const Captures& captures) {
  if (context.deriving) return false;
  for (const plan::Term& term : rule.target().terms()) {
    if (!term.optional()) return false;
    for (const std::vector<size_t>& choices : AllChoices(term.pattern())) {
      const auto name = Instantiate(term.pattern(), choices, scope, captures);
      if (!name || context.target.Find(prefix.target + *name)) return false;
    }
  }
  return true;
}

}  // namespace

std::optional<RuleInstance> Apply(const BindContext& context, const plan::Rule& rule, const NamePrefix& prefix,
                                  const Application& application) {
  RuleInstance instance;
  instance.rule = &rule;
  Evaluator evaluator(context, rule, prefix, application, instance.issues);
  if (rule.has_when()) {
    const auto when = EvaluateBool(rule.when(), evaluator.scope());
    if (!when) {
      evaluator.Report("CK1216", "", fmt::format("`when` cannot be decided: {}", when.error().message()),
                       "correct the condition");
      return instance;
    }
    if (!*when) return std::nullopt;
  }
  if (OptionalTargetAbsent(context, rule, prefix, evaluator.scope(), application.captures)) return std::nullopt;
  Node node = evaluator.Source(rule.source(), true);
  evaluator.CheckDeferred(false);
  if (instance.issues.empty()) node = evaluator.RunOps(rule.source(), std::move(node));
  if (instance.issues.empty()) {
    evaluator.Assign(std::move(node), instance.writes);
    evaluator.CheckDeferred(true);
  }
  instance.sources = evaluator.sources();
  instance.ops = std::move(evaluator.ops());
  if (!instance.issues.empty()) {
    instance.writes.clear();
    instance.missed = evaluator.Intended();
  }
  return instance;
}

Node BuildSource(const BindContext& context, const plan::Rule& rule, const NamePrefix& prefix,
                 const Application& application, std::vector<Issue>& issues) {
  Evaluator evaluator(context, rule, prefix, application, issues);
  Node node = evaluator.Source(rule.source(), true);
  evaluator.CheckDeferred(false);
  return node;
}

}  // namespace ckmap
