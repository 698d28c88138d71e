#include "compiler/reverse/turned_rule.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/reverse/turned_ops.h"

namespace ckmap {
namespace {

class RuleTurner {
 public:
  RuleTurner(const ast::Rule& rule, Span span, const RuleContext& context, const std::set<std::string>& variables,
             TextTurner& text, const SourceMap& sources, Refusals& refusals)
      : rule_(rule),
        span_(span),
        context_(context),
        variables_(variables),
        text_(text),
        sources_(sources),
        refusals_(refusals) {}

  std::string Run(bool overrides, std::set<std::string>& unread) {
    if (!CollectCaptures()) return {};
    std::set<std::string> left, right;
    Dims(rule_.source, left);
    Dims(rule_.target, right);
    RuleSizes sizes{{}, Named(), text_of_};
    sizes.parts = [this](int64_t axis) { return SizesOfParts(axis); };
    for (const std::string& name : left) {
      if (!right.contains(name)) sizes.unknown[name] = Asked(name);
    }
    const size_t before = refusals_.size();
    CheckGathered();
    CountGathered(sizes);
    TurnedOps ops = TurnOps(rule_.source.ops, FlowOf(rule_.source), sizes, refusals_);
    if (refusals_.size() != before) return {};
    if (ops.result.depth() > FlowOf(rule_.target).depth()) {
      sizes.one_is_tensor = true;
      ops = TurnOps(rule_.source.ops, FlowOf(rule_.source), sizes, refusals_);
      if (refusals_.size() == before && ops.result.depth() > FlowOf(rule_.target).depth()) {
        refusals_.push_back({rule_.target.span,
                             "a list of one is dealt out to one name, and its length is not written as 1",
                             "write a name for each tensor of the list"});
      }
      if (refusals_.size() != before) return {};
    }
    const bool optional = std::all_of(rule_.source.terms.begin(), rule_.source.terms.end(), IsOptional);
    std::map<std::string, bool> bound = context_.bound;
    std::vector<std::string> from, to;
    for (size_t i = 0; i < rule_.target.terms.size(); ++i) {
      const ast::Term& term = rule_.target.terms[i];
      from.push_back(text_.Source(PatternOf(term), turns_, bound) + (optional || IsOptional(term) ? "?" : "") +
                     (term.shape ? TargetBrackets(term, MadeFor(i, ops.result), left) : ""));
    }
    for (size_t i = 0; ops.unread && i < rule_.target.terms.size(); ++i) {
      std::map<std::string, bool> none = context_.bound;
      std::string name = text_.Source(PatternOf(rule_.target.terms[i]), turns_, none);
      std::erase(name, '"');
      for (size_t dots = name.find("...}"); dots != std::string::npos; dots = name.find("...}")) name.erase(dots, 3);
      unread.insert((context_.layer ? "**." : context_.from_prefix) + name);
    }
    for (const ast::Term& term : rule_.source.terms)
      to.push_back(text_.Target(PatternOf(term), turns_) + Brackets(term));
    std::string out = overrides || rule_.overrides ? "override " : "";
    out += fmt::format("{}", fmt::join(from, ", "));
    for (const std::string& op : ops.ops) out += " | " + op;
    const bool whole = std::none_of(turns_.begin(), turns_.end(),
                                    [](const auto& turn) { return turn.second.guard.find('%') != std::string::npos; });
    out += fmt::format(" {} {}", ops.reversible && whole ? "<->" : "->", fmt::join(to, ", "));
    return out + Clauses(bound) + ";\n";
  }

 private:
  static const ast::Pattern& PatternOf(const ast::Term& term) { return *std::get_if<ast::Pattern>(&term.kind); }
  static bool IsOptional(const ast::Term& term) { return PatternOf(term).optional; }
  std::string Brackets(const ast::Term& term) { return term.shape ? " " + text_.Brackets(*term.shape, turns_) : ""; }

  // What comes out for a term of the right side, if it is one shape.
  Sizes MadeFor(size_t term, const Flow& result) const {
    const Flow* made = &result;
    if (rule_.target.terms.size() > 1) {
      if (!made->list || (!made->uniform() && made->items.size() != rule_.target.terms.size())) return std::nullopt;
      made = &made->items[made->uniform() ? 0 : term];
    }
    while (made->list) {
      if (!made->uniform()) return std::nullopt;
      made = &made->items[0];
    }
    return made->sizes;
  }

  // A name that the right side alone binds took whatever came out. On the left it would stand for any size, and be
  // another one than a number or a parameter: so these are written where they come out, and `_` where nothing is known.
  std::string TargetBrackets(const ast::Term& term, const Sizes& made, const std::set<std::string>& left) {
    std::vector<std::string> dims;
    for (size_t i = 0; i < term.shape->dims.size(); ++i) {
      const ast::DimExpr& dim = term.shape->dims[i];
      const auto* name = dim.expr ? std::get_if<ast::NameRef>(&dim.expr->kind) : nullptr;
      const bool free = name != nullptr && !needed_.contains(name->name) && !variables_.contains(name->name) &&
                        !turns_.contains(name->name) && !left.contains(name->name);
      const bool fits = made && made->size() == term.shape->dims.size();
      if (free && fits && IsFixed((*made)[i], left)) {
        dims.push_back((*made)[i].Text());
      } else if (free && !(fits && (*made)[i].known()) && uses_[name->name] == 1) {
        dims.emplace_back("_");
      } else {
        dims.push_back(dim.expr ? text_.Expression(*dim.expr, turns_) : std::string(sources_.Text(dim.span)));
      }
    }
    return fmt::format(" [{}]", fmt::join(dims, ", "));
  }

  // Whether a size is made of numbers and parameters alone.
  static bool IsFixed(const Size& size, const std::set<std::string>& left) {
    const std::string text = size.known() ? size.Text() : "(";
    return text.find('(') == std::string::npos &&
           std::none_of(left.begin(), left.end(), [&](const std::string& name) { return size.Mentions(name); });
  }

  // False: a side holds what cannot stand on the other.
  bool CollectCaptures() {
    turns_ = context_.turns;
    ast::Pattern none;
    for (const ast::Term& term : rule_.source.terms) {
      if (!std::holds_alternative<ast::Pattern>(term.kind)) {
        refusals_.push_back({term.span, "operations in brackets would have to stand on the right side",
                             "write a rule for each tensor"});
        return false;
      }
      text_.Collect(PatternOf(term), none, turns_);
    }
    for (const ast::Term& term : rule_.target.terms) text_.Collect(none, PatternOf(term), turns_);
    return true;
  }

  void Dims(const ast::Pipeline& pipeline, std::set<std::string>& names) {
    for (const ast::Term& term : pipeline.terms) {
      if (!term.shape) continue;
      for (const ast::DimExpr& dim : term.shape->dims) {
        const auto* name = dim.expr ? std::get_if<ast::NameRef>(&dim.expr->kind) : nullptr;
        if (name != nullptr) ++uses_[name->name];
        if (dim.expr && name == nullptr) KeepNames(*dim.expr);
        if (name != nullptr && !variables_.contains(name->name) && !turns_.contains(name->name))
          names.insert(name->name);
      }
    }
  }

  // Names that an expression in brackets needs.
  void KeepNames(const ast::Expr& expr) {
    if (const auto* name = std::get_if<ast::NameRef>(&expr.kind)) needed_.insert(name->name);
    if (const auto* unary = std::get_if<ast::Unary>(&expr.kind); unary != nullptr && unary->operand)
      KeepNames(*unary->operand);
    if (const auto* binary = std::get_if<ast::Binary>(&expr.kind)) {
      if (binary->left) KeepNames(*binary->left);
      if (binary->right) KeepNames(*binary->right);
    }
    if (const auto* call = std::get_if<ast::CallExpr>(&expr.kind)) {
      for (const ast::CallArgument& arg : call->args) {
        if (arg.value) KeepNames(*arg.value);
      }
    }
  }

  // Where the tensor that is to come out tells a size. "": nowhere.
  std::string Asked(const std::string& name) {
    for (const ast::Term& term : rule_.source.terms) {
      if (!term.shape) continue;
      for (size_t i = 0; i < term.shape->dims.size(); ++i) {
        const ast::DimExpr& dim = term.shape->dims[i];
        if (dim.kind == ast::DimExpr::Kind::kRest) break;
        const auto* ref = dim.expr ? std::get_if<ast::NameRef>(&dim.expr->kind) : nullptr;
        if (ref == nullptr || ref->name != name) continue;
        if (std::string asked = AskedOf(PatternOf(term), i); !asked.empty()) return asked;
      }
    }
    return {};
  }

  // The size of an axis of what is to come out; of a list, of its first tensor, or of another `option`. "": the name cannot be said.
  std::string AskedOf(const ast::Pattern& pattern, size_t axis, size_t option = 0) {
    std::string name = text_.First(pattern, turns_, rule_.ranges, option);
    if (name.empty()) return {};
    if (!context_.layer) name.insert(1, context_.prefix);
    return fmt::format("target_size({}, {})", name, axis);
  }

  // Along an axis, of each name of a list `{q,k,v}` that is the whole left side, unless brackets say that all are equal.
  std::vector<std::string> SizesOfParts(int64_t axis) {
    if (rule_.source.terms.size() != 1) return {};
    const ast::Term& term = rule_.source.terms[0];
    const auto at = static_cast<size_t>(axis);
    if (term.shape && (at >= term.shape->dims.size() || term.shape->dims[at].kind == ast::DimExpr::Kind::kRest ||
                       term.shape->dims[at].expr))
      return {};
    const ast::AlternativesPart* list = nullptr;
    for (const ast::PatternPart& part : PatternOf(term).parts) {
      const auto* capture = std::get_if<ast::CapturePart>(&part.kind);
      const auto* alternatives = std::get_if<ast::AlternativesPart>(&part.kind);
      if ((capture != nullptr && capture->gather) || (alternatives != nullptr && list != nullptr)) return {};
      if (alternatives != nullptr) list = alternatives;
    }
    std::vector<std::string> sizes;
    for (size_t option = 0; list != nullptr && option < list->options.size(); ++option) {
      sizes.push_back(AskedOf(PatternOf(term), at, option));
      if (sizes.back().empty()) return {};
    }
    return sizes;
  }

  static bool IsOneName(const ast::Pattern& pattern) {
    return std::none_of(pattern.parts.begin(), pattern.parts.end(), [](const ast::PatternPart& part) {
      const auto* capture = std::get_if<ast::CapturePart>(&part.kind);
      return std::holds_alternative<ast::AlternativesPart>(part.kind) || (capture != nullptr && capture->gather);
    });
  }

  // ---- how many --------------------------------------------------------------------------------

  // What a split without `parts` or `sizes` counts: the names of the right side's innermost list.
  Size Named() const {
    for (const ast::Term& term : rule_.target.terms) {
      const ast::Pattern& pattern = PatternOf(term);
      for (auto part = pattern.parts.rbegin(); part != pattern.parts.rend(); ++part) {
        const auto* alternatives = std::get_if<ast::AlternativesPart>(&part->kind);
        const auto* capture = std::get_if<ast::CapturePart>(&part->kind);
        if (alternatives != nullptr) return Size::Number(static_cast<int64_t>(alternatives->options.size()));
        if (capture != nullptr && capture->gather) return Size::Unknown();
      }
    }
    return Size::Number(static_cast<int64_t>(rule_.target.terms.size()));
  }

  const ast::RangeClause* RangeOf(const std::string& capture) const {
    const auto range = std::find_if(rule_.ranges.begin(), rule_.ranges.end(),
                                    [&](const ast::RangeClause& r) { return r.capture.text == capture; });
    return range == rule_.ranges.end() ? nullptr : &*range;
  }

  // Captures that the left side gathers and the right side does not: there a list is numbered from 0.
  std::vector<const ast::CapturePart*> DealtOut() const {
    std::vector<const ast::CapturePart*> found;
    std::set<std::string> kept;
    for (const ast::Term& term : rule_.target.terms) {
      for (const ast::PatternPart& part : PatternOf(term).parts) {
        if (const auto* capture = std::get_if<ast::CapturePart>(&part.kind)) kept.insert(capture->name.text);
      }
    }
    for (const ast::Term& term : rule_.source.terms) {
      for (const ast::PatternPart& part : PatternOf(term).parts) {
        const auto* capture = std::get_if<ast::CapturePart>(&part.kind);
        if (capture != nullptr && capture->gather && kept.insert(capture->name.text).second) found.push_back(capture);
      }
    }
    return found;
  }

  void CheckGathered() {
    for (const ast::CapturePart* capture : DealtOut()) {
      const ast::RangeClause* range = RangeOf(capture->name.text);
      const auto* begin =
          range != nullptr && range->begin ? std::get_if<ast::IntLiteral>(&range->begin->kind) : nullptr;
      if (range == nullptr || (begin != nullptr && begin->value == 0)) continue;
      refusals_.push_back(
          {range->span,
           fmt::format("a list that is dealt out to names is numbered from 0, and `{}` is not", capture->name.text),
           "keep the reversed plan, which needs no text"});
    }
  }

  // Lists without a range: as many as make the right side's sizes.
  void CountGathered(const RuleSizes& sizes) {
    for (const ast::CapturePart* capture : DealtOut()) {
      const std::string& name = capture->name.text;
      if (RangeOf(name) != nullptr || counts_.contains(name)) continue;
      const std::string symbol = "how_many_" + name;
      counts_[name] = Size::Name(symbol);
      Refusals none;
      const TurnedOps ops = TurnOps(rule_.source.ops, FlowOf(rule_.source), sizes, none);
      counts_[name] = Solved(symbol, ops.result, sizes);
    }
  }

  // `symbol`, from one size of what comes out and what the right side's brackets, or its tensor, say of it.
  Size Solved(const std::string& symbol, const Flow& result, const RuleSizes& sizes) {
    const Flow* tensor = &result;
    while (tensor->list) tensor = &tensor->items[0];
    const ast::Term& term = rule_.target.terms[0];
    const Sizes written = SizesOf(term);
    Size found = Size::Unknown();
    if (!tensor->sizes) return found;
    for (size_t i = 0; i < tensor->sizes->size(); ++i) {
      if (!(*tensor->sizes)[i].Mentions(symbol)) continue;
      const Size one = (*tensor->sizes)[i] / Size::Name(symbol);
      if (!one.known() || one.Mentions(symbol)) continue;
      if (written && written->size() == tensor->sizes->size() && (*written)[i].known()) {
        const Size count = (*written)[i] / one;
        const bool known = std::none_of(sizes.unknown.begin(), sizes.unknown.end(),
                                        [&](const auto& entry) { return count.Mentions(entry.first); });
        if (known && count.whole()) return count;
      }
      if (const std::string name = SourceName(PatternOf(term)); !name.empty()) {
        found = Size::Name(fmt::format("source_size({}, {})", name, i)) / one;
      }
    }
    return found;
  }

  // A name of the right side, in an expression. "": it cannot be said.
  std::string SourceName(const ast::Pattern& pattern) {
    if (!IsOneName(pattern) ||
        std::any_of(pattern.parts.begin(), pattern.parts.end(), [](const ast::PatternPart& part) {
          return std::holds_alternative<ast::WildcardPart>(part.kind);
        })) {
      return {};
    }
    std::map<std::string, bool> bound;
    for (const auto& [name, turn] : turns_) bound[name] = true;
    std::string name = text_.Source(pattern, turns_, bound);
    std::erase(name, '"');
    return fmt::format("\"{}{}\"", context_.layer ? "" : context_.from_prefix_name, name);
  }

  // ---- sizes -----------------------------------------------------------------------------------

  Sizes SizesOf(const ast::Term& term) const {
    if (!term.shape) return std::nullopt;
    std::vector<Size> sizes;
    for (const ast::DimExpr& dim : term.shape->dims) {
      if (dim.kind == ast::DimExpr::Kind::kRest) return std::nullopt;
      sizes.push_back(dim.expr ? Size::Of(*dim.expr, text_of_) : Size::Unknown());
    }
    return sizes;
  }

  Flow FlowOf(const ast::Pipeline& pipeline) {
    std::vector<Flow> items;
    for (const ast::Term& term : pipeline.terms) {
      Flow flow{false, SizesOf(term), {}, {}};
      const ast::Pattern& pattern = PatternOf(term);
      // What `_` is only the tensor that is to come out says.
      for (size_t i = 0; flow.sizes && IsOneName(pattern) && i < flow.sizes->size(); ++i) {
        if (term.shape->dims[i].expr) continue;
        if (std::string asked = AskedOf(pattern, i); !asked.empty()) (*flow.sizes)[i] = Size::Name(std::move(asked));
      }
      for (auto part = pattern.parts.rbegin(); part != pattern.parts.rend(); ++part) {
        const auto* alternatives = std::get_if<ast::AlternativesPart>(&part->kind);
        const auto* capture = std::get_if<ast::CapturePart>(&part->kind);
        if (alternatives != nullptr)
          flow = {true, {}, {std::move(flow)}, Size::Number(static_cast<int64_t>(alternatives->options.size()))};
        if (capture != nullptr && capture->gather) flow = {true, {}, {std::move(flow)}, Gathered(capture->name.text)};
      }
      items.push_back(std::move(flow));
    }
    if (items.size() == 1) return std::move(items[0]);
    const auto count = static_cast<int64_t>(items.size());
    return {true, {}, std::move(items), Size::Number(count)};
  }

  // How many a gathering capture gathers, where the rule says so.
  Size Gathered(const std::string& name) const {
    if (const ast::RangeClause* range = RangeOf(name)) {
      const auto* begin = range->begin ? std::get_if<ast::IntLiteral>(&range->begin->kind) : nullptr;
      return begin != nullptr && begin->value == 0 && range->end ? Size::Of(*range->end, text_of_) : Size::Unknown();
    }
    const auto count = counts_.find(name);
    return count == counts_.end() ? Size::Unknown() : count->second;
  }

  std::string Clauses(const std::map<std::string, bool>& bound) {
    std::string out, guards;
    // First that a division leaves no remainder: what stands behind computes it.
    for (const auto& [name, turn] : turns_) {
      if (!turn.guard.empty() && !context_.turns.contains(name)) guards += (guards.empty() ? "" : " and ") + turn.guard;
    }
    std::vector<std::string> ranges;
    for (const ast::RangeClause& range : rule_.ranges) {
      const auto turn = turns_.find(range.capture.text);
      const auto on_left = bound.find(range.capture.text);
      const bool gathered = turn != turns_.end() && turn->second.part != nullptr && turn->second.part->gather;
      if (gathered && (on_left == bound.end() || !on_left->second)) continue;  // the list itself tells how many
      if (turn != turns_.end() && !turn->second.back.empty()) {
        guards += fmt::format("{}{} >= {} and {} < {}", guards.empty() ? "" : " and ", turn->second.back,
                              sources_.Text(range.begin->span), turn->second.back, sources_.Text(range.end->span));
      } else {
        ranges.push_back(fmt::format("{} in {}..{}", range.capture.text, sources_.Text(range.begin->span),
                                     sources_.Text(range.end->span)));
      }
    }
    const std::string when = rule_.when ? text_.Expression(*rule_.when, turns_) : "";
    if (!when.empty() || !guards.empty()) {
      out += fmt::format(" when {}", guards.empty() ? when
                                     : when.empty() ? guards
                                                    : fmt::format("{} and ({})", guards, when));
    }
    if (!ranges.empty()) out += fmt::format(" where {}", fmt::join(ranges, ", "));
    out += ExactlyText(rule_.exactly);
    return out;
  }

  const ast::Rule& rule_;
  Span span_;
  const RuleContext& context_;
  const std::set<std::string>& variables_;
  TextTurner& text_;
  const SourceMap& sources_;
  Refusals& refusals_;
  CaptureTurns turns_;
  std::map<std::string, int> uses_;     // of names that stand alone in brackets
  std::set<std::string> needed_;        // names that expressions in brackets hold
  std::map<std::string, Size> counts_;  // of gathered captures without a range
  Size::ExprText text_of_ = [this](const ast::Expr& expr) { return text_.Expression(expr, turns_); };
};

}  // namespace

std::string ExactlyText(const std::optional<std::string>& reason) {
  if (!reason) return "";
  std::string out = " exactly \"";
  for (const char c : *reason) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string TurnRule(const ast::Rule& rule, Span span, const RuleContext& context,
                     const std::set<std::string>& variables, bool overrides, std::set<std::string>& unread,
                     TextTurner& text, const SourceMap& sources, Refusals& refusals) {
  return RuleTurner(rule, span, context, variables, text, sources, refusals).Run(overrides, unread);
}

}  // namespace ckmap
