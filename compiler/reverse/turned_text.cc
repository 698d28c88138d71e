#include "compiler/reverse/turned_text.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace ckmap {
namespace {

// slope * {name} + offset
struct Linear {
  std::string name;  // empty: a constant
  int64_t slope = 0;
  int64_t offset = 0;
};

std::optional<Linear> LinearOf(const ast::Expr& expr) {
  if (const auto* number = std::get_if<ast::IntLiteral>(&expr.kind)) return Linear{"", 0, number->value};
  if (const auto* name = std::get_if<ast::NameRef>(&expr.kind)) return Linear{name->name, 1, 0};
  const auto* binary = std::get_if<ast::Binary>(&expr.kind);
  if (binary == nullptr || !binary->left || !binary->right) return std::nullopt;
  const auto left = LinearOf(*binary->left), right = LinearOf(*binary->right);
  if (!left || !right || (!left->name.empty() && !right->name.empty())) return std::nullopt;
  const std::string& name = left->name.empty() ? right->name : left->name;
  if (binary->op == "+") return Linear{name, left->slope + right->slope, left->offset + right->offset};
  if (binary->op == "-") return Linear{name, left->slope - right->slope, left->offset - right->offset};
  if (binary->op != "*") return std::nullopt;
  const Linear& factor = left->name.empty() ? *left : *right;
  const Linear& other = left->name.empty() ? *right : *left;
  return Linear{name, other.slope * factor.offset, other.offset * factor.offset};
}

std::string Shifted(const std::string& name, int64_t offset) {
  return offset == 0 ? name : fmt::format("{} {} {}", name, offset > 0 ? "-" : "+", std::abs(offset));
}

// The value on the left, from `name` on the right.
CaptureTurn Solve(const Linear& linear) {
  CaptureTurn turn;
  const std::string shifted = Shifted(linear.name, linear.offset);
  if (linear.slope == 1) {
    turn.back = linear.offset == 0 ? "" : shifted;
    turn.guard = linear.offset > 0 ? fmt::format("{} >= {}", linear.name, linear.offset) : "";
  } else if (linear.slope == -1) {
    turn.back = fmt::format("{} - {}", linear.offset, linear.name);
    turn.guard = fmt::format("{} <= {}", linear.name, linear.offset);
  } else {
    turn.back = fmt::format("({}) / {}", shifted, linear.slope);
    turn.guard = fmt::format("({}) % {} == 0 and ({}) // {} >= 0", shifted, linear.slope, shifted, linear.slope);
  }
  return turn;
}

}  // namespace

void TextTurner::CollectPart(const ast::Pattern& pattern, bool right, CaptureTurns& turns) {
  if (!pattern.regex.empty()) {
    refusals_.push_back(
        {pattern.span, "a regular expression cannot be written as a name", "use captures in a quoted name"});
  }
  for (const ast::PatternPart& part : pattern.parts) {
    if (const auto* capture = std::get_if<ast::CapturePart>(&part.kind)) {
      CaptureTurn& turn = turns[capture->name.text];
      const bool plain = capture->kind == ast::CapturePart::Kind::kPlain;
      if (turn.part == nullptr || (turn.part->kind == ast::CapturePart::Kind::kPlain && !plain)) turn.part = capture;
    }
    const auto* arithmetic = std::get_if<ast::ExprPart>(&part.kind);
    if (arithmetic == nullptr || !arithmetic->expr || !right) continue;
    const auto linear = LinearOf(*arithmetic->expr);
    if (!linear || linear->name.empty() || linear->slope == 0) {
      refusals_.push_back({part.span, "the number cannot be solved for one capture in the text of a rule",
                           "write a rule for each value, or keep the reversed plan, which needs no text"});
      continue;
    }
    CaptureTurn& turn = turns[linear->name];
    const ast::CapturePart* where = turn.part;
    turn = Solve(*linear);
    turn.part = where;
  }
}

void TextTurner::Collect(const ast::Pattern& left, const ast::Pattern& right, CaptureTurns& turns) {
  CollectPart(left, false, turns);
  CollectPart(right, true, turns);
}

namespace {

std::string Kind(const ast::CapturePart& part) {
  std::string text;
  switch (part.kind) {
    case ast::CapturePart::Kind::kPlain:
      break;
    case ast::CapturePart::Kind::kInt:
      text = ":int";
      break;
    case ast::CapturePart::Kind::kPath:
      text = ":path";
      break;
    case ast::CapturePart::Kind::kChoice:
      for (const std::string& choice : part.choices) text += (text.empty() ? ":" : "|") + choice;
      break;
    case ast::CapturePart::Kind::kRegex:
      text = ":/";
      for (const char c : part.regex) text += c == '/' ? std::string("\\/") : std::string(1, c);
      text += "/";
      break;
  }
  return text + (part.gather ? "..." : "");
}

// As written, without `?`.
std::string Plain(const ast::Pattern& pattern, const std::string& raw) {
  return pattern.optional && raw.ends_with("?") ? raw.substr(0, raw.size() - 1) : raw;
}

}  // namespace

std::string TextTurner::Source(const ast::Pattern& pattern, const CaptureTurns& turns,
                               std::map<std::string, bool>& bound) {
  const bool named = std::any_of(pattern.parts.begin(), pattern.parts.end(), [](const ast::PatternPart& part) {
    return std::holds_alternative<ast::CapturePart>(part.kind) || std::holds_alternative<ast::ExprPart>(part.kind);
  });
  if (!named) return Plain(pattern, Raw(pattern.span));
  std::string text = "\"";
  for (const ast::PatternPart& part : pattern.parts) {
    std::string name;
    if (const auto* capture = std::get_if<ast::CapturePart>(&part.kind)) name = capture->name.text;
    if (const auto* arithmetic = std::get_if<ast::ExprPart>(&part.kind); arithmetic != nullptr && arithmetic->expr) {
      if (const auto linear = LinearOf(*arithmetic->expr)) name = linear->name;
    }
    const auto turn = turns.find(name);
    if (name.empty() || turn == turns.end() || turn->second.part == nullptr) {
      text += Raw(part.span);
      continue;
    }
    const bool first = !bound[name];
    bound[name] = true;
    text += fmt::format("{{{}{}}}", name, first || turn->second.part->gather ? Kind(*turn->second.part) : "");
  }
  return text + "\"";
}

std::string TextTurner::Target(const ast::Pattern& pattern, const CaptureTurns& turns) {
  const bool named = std::any_of(pattern.parts.begin(), pattern.parts.end(), [](const ast::PatternPart& part) {
    return std::holds_alternative<ast::CapturePart>(part.kind);
  });
  if (!named) return Plain(pattern, Raw(pattern.span));
  std::string text = "\"";
  for (const ast::PatternPart& part : pattern.parts) {
    const auto* capture = std::get_if<ast::CapturePart>(&part.kind);
    if (capture == nullptr) {
      text += Raw(part.span);
    } else if (capture->gather) {
      text += fmt::format("{{{}{}}}", capture->name.text, Kind(*capture));
    } else {
      const auto turn = turns.find(capture->name.text);
      const bool changed = turn != turns.end() && !turn->second.back.empty();
      text += fmt::format("{{{}}}", changed ? turn->second.back : capture->name.text);
    }
  }
  return text + "\"";
}

std::string TextTurner::First(const ast::Pattern& pattern, const CaptureTurns& turns,
                              const std::vector<ast::RangeClause>& ranges, size_t option) {
  std::string text = "\"";
  for (const ast::PatternPart& part : pattern.parts) {
    const auto* capture = std::get_if<ast::CapturePart>(&part.kind);
    if (std::holds_alternative<ast::WildcardPart>(part.kind)) return {};
    if (const auto* alternatives = std::get_if<ast::AlternativesPart>(&part.kind)) {
      if (option >= alternatives->options.size()) return {};
      text += alternatives->options[option];
    } else if (capture == nullptr) {
      text += Raw(part.span);
    } else if (capture->gather) {
      const auto range = std::find_if(ranges.begin(), ranges.end(),
                                      [&](const ast::RangeClause& r) { return r.capture.text == capture->name.text; });
      const auto* begin =
          range != ranges.end() && range->begin ? std::get_if<ast::IntLiteral>(&range->begin->kind) : nullptr;
      if (range != ranges.end() && begin == nullptr) return {};
      text += fmt::format("{}", begin == nullptr ? 0 : begin->value);
    } else {
      const auto turn = turns.find(capture->name.text);
      const bool changed = turn != turns.end() && !turn->second.back.empty();
      text += fmt::format("{{{}}}", changed ? turn->second.back : capture->name.text);
    }
  }
  return text + "\"";
}

void TextTurner::Edits(const ast::Expr& expr, const CaptureTurns& turns, std::vector<Edit>& edits) {
  const auto visit = [&](const ast::ExprPtr& child) {
    if (child) Edits(*child, turns, edits);
  };
  if (const auto* call = std::get_if<ast::CallExpr>(&expr.kind)) {
    const std::string& name = call->function.text;
    if (name.starts_with("source_")) edits.push_back({call->function.span, "target_" + name.substr(7)});
    if (name.starts_with("target_")) edits.push_back({call->function.span, "source_" + name.substr(7)});
    for (const ast::CallArgument& arg : call->args) visit(arg.value);
  } else if (const auto* name_ref = std::get_if<ast::NameRef>(&expr.kind)) {
    const auto turn = turns.find(name_ref->name);
    if (turn != turns.end() && !turn->second.back.empty())
      edits.push_back({expr.span, fmt::format("({})", turn->second.back)});
  } else if (const auto* text = std::get_if<ast::StringLiteral>(&expr.kind); text != nullptr && text->pattern) {
    // A tensor's name: its captures are written as on the right side.
    for (const ast::PatternPart& part : text->pattern->parts) {
      const auto* capture = std::get_if<ast::CapturePart>(&part.kind);
      const auto turn = capture != nullptr ? turns.find(capture->name.text) : turns.end();
      if (turn != turns.end() && !turn->second.back.empty())
        edits.push_back({part.span, fmt::format("{{{}}}", turn->second.back)});
    }
  } else if (const auto* unary = std::get_if<ast::Unary>(&expr.kind)) {
    visit(unary->operand);
  } else if (const auto* binary = std::get_if<ast::Binary>(&expr.kind)) {
    visit(binary->left);
    visit(binary->right);
  } else if (const auto* conditional = std::get_if<ast::Conditional>(&expr.kind)) {
    visit(conditional->condition);
    visit(conditional->then_value);
    visit(conditional->else_value);
  } else if (const auto* list = std::get_if<ast::ListExpr>(&expr.kind)) {
    for (const ast::ExprPtr& item : list->items) visit(item);
  }
}

std::string TextTurner::Expression(const ast::Expr& expr, const CaptureTurns& turns) {
  std::vector<Edit> edits;
  Edits(expr, turns, edits);
  return Edited(expr.span, std::move(edits));
}

std::string TextTurner::Brackets(const ast::ShapeExpr& shape, const CaptureTurns& turns) {
  std::vector<Edit> edits;
  for (const ast::DimExpr& dim : shape.dims) {
    if (dim.expr) Edits(*dim.expr, turns, edits);
  }
  return Edited(shape.span, std::move(edits));
}

std::string TextTurner::Edited(Span span, std::vector<Edit> edits) const {
  std::sort(edits.begin(), edits.end(), [](const Edit& a, const Edit& b) { return a.span.begin > b.span.begin; });
  std::string text = Raw(span);
  for (const Edit& edit : edits) text.replace(edit.span.begin - span.begin, edit.span.end - edit.span.begin, edit.text);
  return text;
}

}  // namespace ckmap
