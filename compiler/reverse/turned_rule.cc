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
      : rule_(rule), span_(span), context_(context), variables_(variables), text_(text), sources_(sources), refusals_(refusals) {}

  std::string Run(bool overrides, std::set<std::string>& unread) {
    if (!CollectCaptures()) return {};
    std::set<std::string> left, right;
    Dims(rule_.source, left);
    Dims(rule_.target, right);
    UnknownSizes unknown;
    for (const std::string& name : left) {
      if (!right.contains(name)) unknown[name] = Asked(name);
    }
    const size_t before = refusals_.size();
    const TurnedOps ops = TurnOps(rule_.source.ops, FlowOf(rule_.source), unknown, sources_, refusals_);
    if (refusals_.size() != before) return {};
    const bool optional = std::all_of(rule_.source.terms.begin(), rule_.source.terms.end(), IsOptional);
    std::map<std::string, bool> bound = context_.bound;
    std::vector<std::string> from, to;
    for (const ast::Term& term : rule_.target.terms) {
      from.push_back(text_.Source(PatternOf(term), turns_, bound) + (optional || IsOptional(term) ? "?" : "") + Brackets(term));
    }
    for (size_t i = 0; ops.unread && i < rule_.target.terms.size(); ++i) {
      std::map<std::string, bool> none = context_.bound;
      std::string name = text_.Source(PatternOf(rule_.target.terms[i]), turns_, none);
      std::erase(name, '"');
      unread.insert((context_.layer ? "**." : context_.from_prefix) + name);
    }
    for (const ast::Term& term : rule_.source.terms) to.push_back(text_.Target(PatternOf(term), turns_) + Brackets(term));
    std::string out = overrides || rule_.overrides ? "override " : "";
    out += fmt::format("{}", fmt::join(from, ", "));
    for (const std::string& op : ops.ops) out += " | " + op;
    const bool whole = std::none_of(turns_.begin(), turns_.end(), [](const auto& turn) { return turn.second.guard.find('%') != std::string::npos; });
    out += fmt::format(" {} {}", ops.reversible && whole ? "<->" : "->", fmt::join(to, ", "));
    return out + Clauses(bound) + ";\n";
  }

 private:
  static const ast::Pattern& PatternOf(const ast::Term& term) { return *std::get_if<ast::Pattern>(&term.kind); }
  static bool IsOptional(const ast::Term& term) { return PatternOf(term).optional; }
  std::string Brackets(const ast::Term& term) const { return term.shape ? " " + std::string(sources_.Text(term.shape->span)) : ""; }

  // False: a side holds what cannot stand on the other.
  bool CollectCaptures() {
    turns_ = context_.turns;
    ast::Pattern none;
    for (const ast::Term& term : rule_.source.terms) {
      if (!std::holds_alternative<ast::Pattern>(term.kind)) {
        refusals_.push_back({term.span, "operations in brackets would have to stand on the right side", "write a rule for each tensor"});
        return false;
      }
      text_.Collect(PatternOf(term), none, turns_);
    }
    for (const ast::Term& term : rule_.target.terms) text_.Collect(none, PatternOf(term), turns_);
    return true;
  }

  void Dims(const ast::Pipeline& pipeline, std::set<std::string>& names) const {
    for (const ast::Term& term : pipeline.terms) {
      if (!term.shape) continue;
      for (const ast::DimExpr& dim : term.shape->dims) {
        const auto* name = dim.expr ? std::get_if<ast::NameRef>(&dim.expr->kind) : nullptr;
        if (name != nullptr && !variables_.contains(name->name) && !turns_.contains(name->name)) names.insert(name->name);
      }
    }
  }

  // Where the tensor that is to come out tells a size. "": nowhere.
  std::string Asked(const std::string& name) {
    for (const ast::Term& term : rule_.source.terms) {
      const ast::Pattern& pattern = PatternOf(term);
      const bool one = std::none_of(pattern.parts.begin(), pattern.parts.end(), [](const ast::PatternPart& part) {
        const auto* capture = std::get_if<ast::CapturePart>(&part.kind);
        return std::holds_alternative<ast::AlternativesPart>(part.kind) || std::holds_alternative<ast::WildcardPart>(part.kind) || (capture != nullptr && capture->gather);
      });
      if (!one || !term.shape) continue;
      for (size_t i = 0; i < term.shape->dims.size(); ++i) {
        const ast::DimExpr& dim = term.shape->dims[i];
        if (dim.kind == ast::DimExpr::Kind::kRest) break;
        const auto* ref = dim.expr ? std::get_if<ast::NameRef>(&dim.expr->kind) : nullptr;
        if (ref == nullptr || ref->name != name) continue;
        std::string target = text_.Target(pattern, turns_);
        if (!context_.layer) {
          std::erase(target, '"');
          target = fmt::format("\"{}{}\"", context_.prefix, target);
        }
        return fmt::format("target_size({}, {})", target, i);
      }
    }
    return {};
  }

  Sizes SizesOf(const std::optional<ast::ShapeExpr>& shape) const {
    if (!shape) return std::nullopt;
    std::vector<Size> sizes;
    for (const ast::DimExpr& dim : shape->dims) {
      if (dim.kind == ast::DimExpr::Kind::kRest) return std::nullopt;
      sizes.push_back(dim.expr ? Size::Of(*dim.expr, std::string(sources_.Text(dim.expr->span))) : Size::Unknown());
    }
    return sizes;
  }

  Flow FlowOf(const ast::Pipeline& pipeline) const {
    std::vector<Flow> items;
    for (const ast::Term& term : pipeline.terms) {
      Flow flow{false, SizesOf(term.shape), {}, {}};
      const ast::Pattern& pattern = PatternOf(term);
      for (auto part = pattern.parts.rbegin(); part != pattern.parts.rend(); ++part) {
        const auto* alternatives = std::get_if<ast::AlternativesPart>(&part->kind);
        const auto* capture = std::get_if<ast::CapturePart>(&part->kind);
        if (alternatives != nullptr) flow = {true, {}, {std::move(flow)}, Size::Number(static_cast<int64_t>(alternatives->options.size()))};
        if (capture != nullptr && capture->gather) flow = {true, {}, {std::move(flow)}, Gathered(capture->name.text)};
      }
      items.push_back(std::move(flow));
    }
    if (items.size() == 1) return std::move(items[0]);
    const auto count = static_cast<int64_t>(items.size());
    return {true, {}, std::move(items), Size::Number(count)};
  }

  // How many a gathering capture gathers, where the rule's range says so.
  Size Gathered(const std::string& name) const {
    for (const ast::RangeClause& range : rule_.ranges) {
      const auto* begin = range.begin ? std::get_if<ast::IntLiteral>(&range.begin->kind) : nullptr;
      if (range.capture.text == name && begin != nullptr && begin->value == 0 && range.end) {
        return Size::Of(*range.end, std::string(sources_.Text(range.end->span)));
      }
    }
    return Size::Unknown();
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
        guards += fmt::format("{}{} >= {} and {} < {}", guards.empty() ? "" : " and ", turn->second.back, sources_.Text(range.begin->span),
                              turn->second.back, sources_.Text(range.end->span));
      } else {
        ranges.push_back(fmt::format("{} in {}..{}", range.capture.text, sources_.Text(range.begin->span), sources_.Text(range.end->span)));
      }
    }
    const std::string when = rule_.when ? text_.Expression(*rule_.when, turns_) : "";
    if (!when.empty() || !guards.empty()) {
      out += fmt::format(" when {}", guards.empty() ? when : when.empty() ? guards : fmt::format("{} and ({})", guards, when));
    }
    if (!ranges.empty()) out += fmt::format(" where {}", fmt::join(ranges, ", "));
    if (rule_.exactly) out += fmt::format(" exactly {}", Quoted(*rule_.exactly));
    return out;
  }

  static std::string Quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + "\"";
  }

  const ast::Rule& rule_;
  Span span_;
  const RuleContext& context_;
  const std::set<std::string>& variables_;
  TextTurner& text_;
  const SourceMap& sources_;
  Refusals& refusals_;
  CaptureTurns turns_;
};

}  // namespace

std::string TurnRule(const ast::Rule& rule, Span span, const RuleContext& context, const std::set<std::string>& variables,
                     bool overrides, std::set<std::string>& unread, TextTurner& text, const SourceMap& sources,
                     Refusals& refusals) {
  return RuleTurner(rule, span, context, variables, text, sources, refusals).Run(overrides, unread);
}

}  // namespace ckmap
