// The same elements in another layout: transposed, permuted, with an axis of size 1 more or less; and operations of
// rules that are wrong.
#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/causes/hypotheses.h"
#include "runtime/causes/statements.h"

namespace ckmap {
namespace {

constexpr size_t kMaxRules = 12;

Shape WithoutOnes(const Shape& shape) {
  Shape rest;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(rest), [](int64_t size) { return size != 1; });
  return rest;
}

OpText PermuteTo(const std::vector<int64_t>& axes) {
  if (axes == std::vector<int64_t>{1, 0}) return {.name = "transpose"};
  return {.name = "permute", .lists = {{"axes", axes}}};
}

// Takes out all axes of size 1 and puts in those of the other shape: whatever the other sizes are.
std::vector<OpText> OnesMoved(const Shape& given, const Shape& wanted) {
  std::vector<OpText> ops;
  for (size_t axis = given.size(); axis-- > 0;) {
    if (given[axis] == 1) ops.push_back({.name = "squeeze", .numbers = {{"axis", static_cast<int64_t>(axis)}}});
  }
  for (size_t axis = 0; axis < wanted.size(); ++axis) {
    if (wanted[axis] == 1) ops.push_back({.name = "unsqueeze", .numbers = {{"axis", static_cast<int64_t>(axis)}}});
  }
  return ops;
}

// Each list of operations that takes one shape to the other; those that give the same elements once.
std::vector<std::vector<OpText>> Layouts(const Shape& given, Shape wanted) {
  std::vector<std::vector<OpText>> found;
  if (std::count(wanted.begin(), wanted.end(), -1) > 1) return found;
  if (const auto open = std::find(wanted.begin(), wanted.end(), -1); open != wanted.end()) {
    *open = 1;
    const int64_t all = NumElements(given).value_or(0), rest = NumElements(wanted).value_or(0);
    if (rest <= 0 || all % rest != 0) return found;
    *open = all / rest;
  }
  if (given == wanted) return found;
  if (WithoutOnes(given) == WithoutOnes(wanted)) {
    if (given.size() + 1 == wanted.size()) {
      for (size_t axis = 0; axis < wanted.size(); ++axis) {
        Shape shape = given;
        shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), 1);
        if (shape == wanted) return {{{.name = "unsqueeze", .numbers = {{"axis", static_cast<int64_t>(axis)}}}}};
      }
    }
    if (given.size() == wanted.size() + 1) {
      for (size_t axis = 0; axis < given.size(); ++axis) {
        Shape shape = given;
        if (shape[axis] != 1) continue;
        shape.erase(shape.begin() + static_cast<ptrdiff_t>(axis));
        if (shape == wanted) return {{{.name = "squeeze", .numbers = {{"axis", static_cast<int64_t>(axis)}}}}};
      }
    }
    if (given.size() != wanted.size()) return {OnesMoved(given, wanted)};
  }
  if (given.size() == wanted.size() && given.size() >= 2 && given.size() <= 5) {
    std::vector<int64_t> axes(given.size());
    std::iota(axes.begin(), axes.end(), 0);
    std::set<std::vector<int64_t>> seen;
    do {
      Shape shape;
      std::vector<int64_t> order;  // of axes that hold more than one index: the others do not move elements
      for (const int64_t axis : axes) {
        shape.push_back(given[static_cast<size_t>(axis)]);
        if (given[static_cast<size_t>(axis)] != 1) order.push_back(axis);
      }
      if (shape == wanted && seen.insert(order).second) found.push_back({PermuteTo(axes)});
    } while (std::next_permutation(axes.begin(), axes.end()));
    return found;
  }
  // [out, in] beside [in, out, 1, 1].
  Shape from = WithoutOnes(given), to = WithoutOnes(wanted);
  if (from.size() == 2 && given.size() == 2 && Shape{from[1], from[0]} == to)
    return {{{.name = "transpose"}, {.name = "reshape", .lists = {{"shape", wanted}}}}};
  return found;
}

std::string OpsText(const std::vector<OpText>& ops) {
  std::string text;
  for (const OpText& op : ops) text += (text.empty() ? "" : " | ") + op.Text();
  return text;
}

// What the change is, in words.
std::string_view Words(const OpText& op) {
  if (op.name == "transpose") return "transposed";
  if (op.name == "permute") return "permuted";
  if (op.name == "unsqueeze") return "of one axis more, of size 1";
  if (op.name == "squeeze") return "of one axis less, of size 1";
  return "of another shape with as many elements";
}

struct Copy {  // a tensor that goes to its target as it is
  std::string source, target;
  Shape given, wanted;
};

class LayoutSearch {
 public:
  explicit LayoutSearch(const Findings& findings) : findings_(findings), situation_(findings.situation) {
    for (const Misfit& misfit : findings.shapes) {
      const auto& sources = misfit.facts->sources;
      if (sources.size() != 1 || misfit.facts->given != situation_.source[sources[0]].shape) continue;
      copies_.push_back({situation_.source[misfit.facts->sources[0]].name, situation_.target[misfit.target].name,
                         misfit.facts->given, misfit.facts->wanted});
    }
  }

  void Suggest(Hypotheses& out) const {
    std::set<std::string> seen;
    for (const Copy& copy : copies_) {
      for (const auto& ops : Layouts(copy.given, copy.wanted)) {
        if (seen.size() < 8 && seen.insert(OpsText(ops)).second) SuggestCopies(ops, out);
      }
    }
  }

 private:
  // Square ones of the same kind, which fit as they are, too.
  std::vector<Copy> Squares(const std::vector<Copy>& copies) const {
    std::set<std::string> leaves, wrong;
    for (const Copy& copy : copies) {
      leaves.insert(SplitName(copy.source).back());
      wrong.insert(copy.source);
    }
    std::vector<Copy> squares;
    for (const TensorInfo& tensor : situation_.source.tensors()) {
      if (tensor.shape.size() != 2 || tensor.shape[0] != tensor.shape[1] || tensor.shape[0] == 1) continue;
      if (!leaves.contains(SplitName(tensor.name).back()) || wrong.contains(tensor.name)) continue;
      squares.push_back({tensor.name, tensor.name, tensor.shape, tensor.shape});
    }
    return squares;
  }

  // The names as patterns: numbers that stand in both, in one order, are captures, the others stay as they are.
  static std::pair<std::string, std::string> Patterns(const Copy& copy) {
    Segments source = SplitName(copy.source), target = SplitName(copy.target);
    const auto is_number = [](const std::string& text) {
      return !text.empty() && text.size() < 9 && (text == "0" || text.front() != '0') &&
             std::all_of(text.begin(), text.end(), IsDigit);
    };
    char letter = 'i';
    size_t from = 0;
    for (std::string& segment : target) {
      if (!is_number(segment) || letter > 'n') continue;
      const auto at = std::find(source.begin() + static_cast<ptrdiff_t>(from), source.end(), segment);
      if (at == source.end()) return {copy.source, copy.target};
      from = static_cast<size_t>(at - source.begin()) + 1;
      *at = fmt::format("{{{}:int}}", letter);
      segment = fmt::format("{{{}}}", letter++);
    }
    return {JoinName(source, 0, source.size()), JoinName(target, 0, target.size())};
  }

  // One rule for each pattern of names.
  static std::vector<RuleText> RulesFor(const std::vector<Copy>& copies, const std::vector<OpText>& ops) {
    std::vector<RuleText> rules;
    std::set<std::string> seen;
    for (const Copy& copy : copies) {
      if (!Quoted(copy.source) || !Quoted(copy.target)) continue;
      const auto [left, right] = Patterns(copy);
      if (seen.insert(left).second) rules.push_back({.sources = {left}, .ops = ops, .targets = {right}, .exactly = {}});
    }
    return rules;
  }

  void SuggestCopies(const std::vector<OpText>& ops, Hypotheses& out) const {
    std::vector<Copy> those;
    for (const Copy& copy : copies_) {
      const auto layouts = Layouts(copy.given, copy.wanted);
      const bool fits = std::any_of(layouts.begin(), layouts.end(),
                                    [&](const auto& other) { return OpsText(other) == OpsText(ops); });
      if (fits) those.push_back(copy);
    }
    const std::vector<Copy> squares = ops[0].name == "transpose" ? Squares(those) : std::vector<Copy>{};
    if (!squares.empty()) {
      std::vector<Copy> all = those;
      all.insert(all.end(), squares.begin(), squares.end());
      Add(ops, all, those.size(), squares, 16, out);
    }
    Add(ops, those, those.size(), {}, squares.empty() ? 16 : 17, out);
  }

  void Add(const std::vector<OpText>& ops, const std::vector<Copy>& copies, size_t wrong,
           const std::vector<Copy>& squares, int order, Hypotheses& out) const {
    std::vector<RuleText> rules = RulesFor(copies, ops);
    if (rules.empty() || rules.size() > kMaxRules) return;
    std::string text;
    for (const RuleText& rule : rules) text += (text.empty() ? "" : "\n") + rule.Text();
    Hypothesis hypothesis{
        .kind = "layout",
        .message =
            fmt::format("the target has {} {}: {} {} {}", wrong == 1 ? "a tensor" : fmt::format("{} tensors", wrong),
                        Words(ops[0]), wrong == 1 ? "it is" : "the first is", FormatShape(copies[0].wanted),
                        fmt::format("where the source has {}", FormatShape(copies[0].given))),
        .apply =
            [rules](Situation& s) {
              for (const RuleText& rule : rules) AddRule(s.plan, rule);
            },
        .edit = {.file = EditedFile(situation_.plan), .new_text = text},
        .order = order};
    if (!squares.empty()) {
      std::vector<std::string> names;
      for (const Copy& copy : squares) names.push_back(copy.source);
      std::vector<std::string> patterns;
      for (const auto& [pattern, count] : FoldAll(names)) patterns.push_back(pattern);
      hypothesis.notes.push_back(
          fmt::format("square, so that shapes cannot tell: {}; they are transposed with their "
                      "siblings here",
                      Listed(patterns)));
      hypothesis.evident = false;
    }
    out.push_back(std::move(hypothesis));
  }

  const Findings& findings_;
  const Situation& situation_;
  std::vector<Copy> copies_;
};

// ---- rules -------------------------------------------------------------------------------------------------

// A rule of the plan by its place; nullptr: it is not there.
plan::Rule* FindRule(plan::Plan& plan, const IssueFacts& at) {
  const auto is = [&](const plan::Rule& rule) {
    return rule.loc().file() == at.file && rule.loc().line() == at.line && rule.loc().column() == at.column;
  };
  for (plan::Rule& rule : *plan.mutable_rules()) {
    if (is(rule)) return &rule;
  }
  for (plan::Layer& layer : *plan.mutable_layers()) {
    for (plan::Rule& rule : *layer.mutable_rules()) {
      if (is(rule)) return &rule;
    }
  }
  return nullptr;
}

class OperationSearch {
 public:
  OperationSearch(const Situation& situation, const IssueFacts& facts, Hypotheses& out)
      : situation_(situation), facts_(facts), out_(out) {}

  void Suggest() {
    plan::Plan plan = situation_.plan;
    const plan::Rule* rule = FindRule(plan, facts_);
    if (rule == nullptr || plan.files(static_cast<int>(facts_.file)).level() != 0) return;
    rule_ = *rule;
    const int count = rule_.source().ops_size();
    for (int i = 0; i < count; ++i) Remove(i);
    for (int i = 0; i < count; ++i) ChangeAxis(i);
    for (const auto& ops : Layouts(facts_.given, facts_.wanted)) Append(ops);
    if (facts_.given.empty()) Append({{.name = "transpose"}});
    if (Layouts(facts_.given, facts_.wanted).empty() && !facts_.given.empty() &&
        NumElements(facts_.given) == NumElements(facts_.wanted))
      Append({{.name = "reshape", .lists = {{"shape", facts_.wanted}}}});
    for (int i = 0; i < rule_.source().terms_size() + rule_.target().terms_size(); ++i) TurnBrackets(i);
  }

 private:
  void Add(plan::Rule changed, const std::string& text, const std::string& message) {
    if (text == rule_.text()) return;
    changed.set_text(text);
    out_.push_back(
        {.kind = "operation",
         .message = fmt::format("the rule at {}:{}: {}", situation_.plan.files(static_cast<int>(facts_.file)).name(),
                                facts_.line, message),
         .apply =
             [changed, at = facts_](Situation& s) {
               if (plan::Rule* rule = FindRule(s.plan, at)) *rule = changed;
             },
         .edit = {.file = situation_.plan.files(static_cast<int>(facts_.file)).name(),
                  .line = facts_.line,
                  .column = facts_.column,
                  .old_text = rule_.text(),
                  .new_text = text},
         .order = 18});
  }

  static std::string Replaced(std::string text, const std::string& old_text, const std::string& new_text,
                              size_t nth = 0) {
    size_t at = text.find(old_text);
    for (; nth > 0 && at != std::string::npos; --nth) at = text.find(old_text, at + 1);
    return at == std::string::npos ? text : text.replace(at, old_text.size(), new_text);
  }

  size_t Nth(int op) const {
    size_t nth = 0;
    for (int i = 0; i < op; ++i) nth += rule_.source().ops(i).text() == rule_.source().ops(op).text() ? 1 : 0;
    return nth;
  }

  // Without another operation the values would be others.
  static bool MovesOnly(const plan::Op& op) {
    static const std::set<std::string, std::less<>> kOps = {"transpose", "permute",   "reshape",
                                                            "squeeze",   "unsqueeze", "flatten"};
    return kOps.contains(op.name());
  }

  void Remove(int i) {
    if (!MovesOnly(rule_.source().ops(i))) return;
    plan::Rule changed = rule_;
    changed.mutable_source()->mutable_ops()->DeleteSubrange(i, 1);
    const std::string& op = rule_.source().ops(i).text();
    Add(changed, Replaced(rule_.text(), " | " + op, "", Nth(i)), fmt::format("without `{}` it fits", op));
  }

  void ChangeAxis(int i) {
    const plan::Op& op = rule_.source().ops(i);
    if (!MovesOnly(op) && op.name() != "split" && op.name() != "concat" && op.name() != "stack" &&
        op.name() != "unstack")
      return;
    for (int k = 0; k < op.args_size(); ++k) {
      if (op.args(k).name() != "axis" || op.args(k).value().kind_case() != plan::Expr::kInt) continue;
      const int64_t now = op.args(k).value().int_();
      for (int64_t axis = 0; axis < 5; ++axis) {
        if (axis == now) continue;
        plan::Rule changed = rule_;
        changed.mutable_source()->mutable_ops(i)->mutable_args(k)->mutable_value()->set_int_(axis);
        const std::string with = Replaced(op.text(), fmt::format("{}", now), fmt::format("{}", axis));
        changed.mutable_source()->mutable_ops(i)->set_text(with);
        Add(changed, Replaced(rule_.text(), op.text(), with, Nth(i)),
            fmt::format("`{}` fits, not `{}`", with, op.text()));
      }
    }
  }

  void Append(const std::vector<OpText>& ops) {
    plan::Rule changed = rule_;
    for (const OpText& op : ops) *changed.mutable_source()->add_ops() = op.Op();
    const std::string arrow = rule_.text().find(" <-> ") != std::string::npos ? " <-> " : " -> ";
    Add(changed, Replaced(rule_.text(), arrow, fmt::format(" | {}{}", OpsText(ops), arrow)),
        fmt::format("`{}` is missing", OpsText(ops)));
  }

  // The sizes of a bracket the other way round.
  void TurnBrackets(int i) {
    const int sources = rule_.source().terms_size();
    plan::Rule changed = rule_;
    plan::Term& term = i < sources ? *changed.mutable_source()->mutable_terms(i)
                                   : *changed.mutable_target()->mutable_terms(i - sources);
    if (term.shape().dims_size() != 2) return;
    term.mutable_shape()->mutable_dims()->SwapElements(0, 1);
    // Brackets stand in the text in the order of the terms.
    size_t at = 0, nth = 0;
    for (int k = 0; k < i; ++k) {
      const plan::Term& before = k < sources ? rule_.source().terms(k) : rule_.target().terms(k - sources);
      nth += before.has_shape() ? 1 : 0;
    }
    const std::string& text = rule_.text();
    at = text.find(" [");
    for (; nth > 0 && at != std::string::npos; --nth) at = text.find(" [", at + 1);
    if (at == std::string::npos) return;
    const size_t end = text.find(']', at), comma = text.find(", ", at);
    if (end == std::string::npos || comma == std::string::npos || comma > end) return;
    const std::string first = text.substr(at + 2, comma - at - 2), second = text.substr(comma + 2, end - comma - 2);
    std::string turned = text;
    turned.replace(at + 2, end - at - 2, second + ", " + first);
    Add(changed, turned, fmt::format("the sizes are [{}, {}], not [{}, {}]", second, first, first, second));
  }

  const Situation& situation_;
  const IssueFacts facts_;
  Hypotheses& out_;
  plan::Rule rule_;
};

}  // namespace

void SuggestLayouts(const Findings& findings, Hypotheses& out) {
  LayoutSearch(findings).Suggest(out);
  std::set<std::tuple<uint32_t, uint32_t, uint32_t>> seen;
  const auto look = [&](const IssueFacts& facts) {
    if (facts.line > 0 && seen.size() < 8 && seen.emplace(facts.file, facts.line, facts.column).second)
      OperationSearch(findings.situation, facts, out).Suggest();
  };
  for (const Misfit& misfit : findings.shapes) look(*misfit.facts);
  for (const Issue* issue : findings.of_rules) look(*issue->facts);
}

}  // namespace ckmap
