#include "compiler/syntax/ast_printer.h"

#include <type_traits>

#include <fmt/format.h>

namespace ckmap {
namespace {

template <typename... Cases>
struct Overload : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overload(Cases...) -> Overload<Cases...>;

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string Print(const ast::Expr& expr);
std::string Print(const ast::ExprPtr& expr) { return expr == nullptr ? "none" : Print(*expr); }

std::string Print(const std::vector<ast::CallArgument>& arguments) {
  std::string out;
  for (const ast::CallArgument& argument : arguments) {
    out += " ";
    if (argument.name) out += argument.name->text + "=";
    out += Print(argument.value);
  }
  return out;
}

std::string Print(const ast::CapturePart& part) {
  std::string out = "{" + part.name.text;
  switch (part.kind) {
    case ast::CapturePart::Kind::kPlain:
      break;
    case ast::CapturePart::Kind::kInt:
      out += ":int";
      break;
    case ast::CapturePart::Kind::kPath:
      out += ":path";
      break;
    case ast::CapturePart::Kind::kChoice:
      out += ":choice";
      for (const std::string& choice : part.choices) out += " " + Quote(choice);
      break;
    case ast::CapturePart::Kind::kRegex:
      out += ":regex " + Quote(part.regex);
      break;
  }
  return out + (part.gather ? "..." : "") + "}";
}

std::string Print(const ast::Pattern& pattern) {
  std::string out = pattern.invalid ? "invalid" : pattern.regex.empty() ? "" : "regex " + Quote(pattern.regex);
  for (const ast::PatternPart& part : pattern.parts) {
    if (!out.empty()) out += " ";
    out += std::visit(Overload{[](const ast::LiteralPart& p) { return Quote(p.text); },
                               [](const ast::CapturePart& p) { return Print(p); },
                               [](const ast::AlternativesPart& p) {
                                 std::string options = "{,";
                                 for (const std::string& option : p.options) options += " " + Quote(option);
                                 return options + "}";
                               },
                               [](const ast::WildcardPart& p) { return std::string(p.path ? "**" : "*"); },
                               [](const ast::ExprPart& p) { return "{= " + Print(p.expr) + "}"; }},
                      part.kind);
  }
  return "<" + out + ">" + (pattern.optional ? "?" : "");
}

std::string Print(const ast::Expr& expr) {
  return std::visit(
      Overload{[](const ast::Invalid&) { return std::string("invalid"); },
               [](const ast::IntLiteral& e) { return fmt::format("{}", e.value); },
               [](const ast::NumberLiteral& e) { return fmt::format("(number {})", e.value); },
               [](const ast::StringLiteral& e) {
                 const bool plain = e.pattern != nullptr && e.pattern->parts.size() <= 1 &&
                                    e.value.find_first_of("{}*") == std::string::npos;
                 return Quote(e.value) + (plain ? "" : e.pattern == nullptr ? "!" : ":" + Print(*e.pattern));
               },
               [](const ast::BoolLiteral& e) { return std::string(e.value ? "true" : "false"); },
               [](const ast::NameRef& e) { return e.name; },
               [](const ast::Unary& e) { return fmt::format("({} {})", e.op, Print(e.operand)); },
               [](const ast::Binary& e) { return fmt::format("({} {} {})", e.op, Print(e.left), Print(e.right)); },
               [](const ast::Conditional& e) {
                 return fmt::format("(if {} {} {})", Print(e.condition), Print(e.then_value), Print(e.else_value));
               },
               [](const ast::CallExpr& e) { return fmt::format("(call {}{})", e.function.text, Print(e.args)); },
               [](const ast::ListExpr& e) {
                 std::string out = "(list";
                 for (const ast::ExprPtr& item : e.items) out += " " + Print(item);
                 return out + ")";
               }},
      expr.kind);
}

std::string Print(const ast::ShapeExpr& shape) {
  std::string out;
  for (const ast::DimExpr& dim : shape.dims) {
    if (!out.empty()) out += " ";
    switch (dim.kind) {
      case ast::DimExpr::Kind::kExpr:
        out += Print(dim.expr);
        break;
      case ast::DimExpr::Kind::kAny:
        out += "_";
        break;
      case ast::DimExpr::Kind::kRest:
        out += "...";
        break;
    }
  }
  return "[" + out + "]";
}

std::string Print(const ast::Pipeline& pipeline) {
  std::string out;
  for (const ast::Term& term : pipeline.terms) {
    if (!out.empty()) out += " , ";
    if (const auto* pattern = std::get_if<ast::Pattern>(&term.kind)) {
      out += Print(*pattern);
    } else {
      out += Print(*std::get<std::unique_ptr<ast::Pipeline>>(term.kind));
    }
    if (term.shape) out += " " + Print(*term.shape);
  }
  for (const ast::OpCall& op : pipeline.ops) {
    out += fmt::format(" | ({}{})", op.name.text, Print(op.args));
  }
  return "(" + out + ")";
}

std::string When(const ast::ExprPtr& when) { return when == nullptr ? "" : " (when " + Print(when) + ")"; }

std::string Exactly(const std::optional<std::string>& reason) {
  return reason ? " (exactly " + Quote(*reason) + ")" : "";
}

std::string Print(const ast::Rule& rule) {
  std::string out = fmt::format("(rule{} {} {} {}", rule.overrides ? " override" : "", Print(rule.source),
                                rule.reversible ? "<->" : "->", Print(rule.target));
  for (const ast::RangeClause& range : rule.ranges) {
    out += fmt::format(" (where {} {} {})", range.capture.text, Print(range.begin), Print(range.end));
  }
  out += When(rule.when);
  out += Exactly(rule.exactly);
  if (rule.derives) out += " (derives)";
  return out + ")";
}

std::string Print(const ast::Drop& drop) {
  return fmt::format("({} {}{}{}{})", drop.only ? "only" : "drop", Print(drop.pattern), When(drop.when),
                     drop.equals ? " (equals " + Print(drop.equals) + ")" : "",
                     drop.reason ? " (because " + Quote(*drop.reason) + ")" : "");
}

std::string Print(const ast::Target& target, const std::string& indent) {
  std::string out = "(target";
  for (const ast::TargetItem& item : target.items) {
    out += "\n" + indent + "  (";
    switch (item.kind) {
      case ast::TargetItem::Kind::kStrict:
        out += "strict";
        for (const ast::Identifier& word : item.words) out += " " + word.text;
        break;
      case ast::TargetItem::Kind::kAllowMissing:
        out += "missing " + Print(*item.pattern);
        break;
      case ast::TargetItem::Kind::kAllowUnused:
        out += "unused " + Print(*item.pattern);
        break;
      case ast::TargetItem::Kind::kCast:
        out += fmt::format("cast {} {}", item.cast_from.text, item.cast_to.text);
        if (item.pattern) out += " in " + Print(*item.pattern);
        if (item.overflow) out += " " + item.overflow->text;
        break;
      case ast::TargetItem::Kind::kMatchSuffix:
        out += "match-suffix";
        break;
    }
    out += ")";
  }
  return out + ")";
}

std::string Print(const ast::TestTensor& tensor) {
  return fmt::format("({}{}{}{}{})", Print(tensor.name), tensor.dtype ? " " + tensor.dtype->text : "",
                     tensor.shape ? " " + Print(*tensor.shape) : "",
                     tensor.value == nullptr ? "" : " = " + Print(tensor.value),
                     tensor.tolerance == nullptr ? "" : " within " + Print(tensor.tolerance));
}

std::string Docs(const std::string& doc) { return doc.empty() ? "" : "(doc " + Quote(doc) + ") "; }

class StatementPrinter {
 public:
  explicit StatementPrinter(int depth) : depth_(depth), indent_(static_cast<size_t>(depth) * 2, ' ') {}

  std::string All(const std::vector<ast::Statement>& statements) const {
    std::string out;
    for (const ast::Statement& statement : statements) {
      out += indent_ + Docs(statement.doc) + std::visit(*this, statement.kind) + "\n";
    }
    return out;
  }

  std::string operator()(const ast::Invalid&) const { return "(invalid)"; }
  std::string operator()(const ast::Migration& s) const {
    return fmt::format("(migration {} {} {})", s.name.text, s.from.text, s.to.text);
  }
  std::string operator()(const ast::Use& s) const {
    return fmt::format("(use {}{}{}{})", s.is_path ? Quote(s.target.text) : s.target.text,
                       s.version ? " >= " + s.version->text : "", s.with.empty() ? "" : " (with" + Print(s.with) + ")",
                       Exactly(s.exactly));
  }
  std::string operator()(const ast::Param& s) const {
    return fmt::format("(param {} {}{}{})", s.name.text, s.type.text,
                       s.config_key ? " (config " + Quote(s.config_key->text) + ")" : "",
                       s.value == nullptr ? "" : " " + Print(s.value));
  }
  std::string operator()(const ast::Let& s) const { return fmt::format("(let {} {})", s.name.text, Print(s.value)); }
  std::string operator()(const ast::Names& s) const {
    return fmt::format("(names {} {})", Quote(s.from.text), Quote(s.to.text));
  }
  std::string operator()(const ast::Rename& s) const {
    std::string out = s.of_target ? "(rename target" : "(rename";
    for (const ast::RenamePair& pair : s.pairs) {
      out += fmt::format(" ({} {})", Print(pair.from), Print(pair.to));
    }
    return out + ")";
  }
  std::string operator()(const ast::Layer& s) const {
    std::string out = fmt::format("(layer {}{}", s.name.text, When(s.when));
    for (const ast::LayerItem& item : s.items) {
      out +=
          "\n" + indent_ + "  " + Docs(item.doc) + std::visit([](const auto& kind) { return Print(kind); }, item.kind);
    }
    return out + ")";
  }
  std::string operator()(const ast::ModuleIs& s) const {
    return fmt::format("(module {} {}{})", Print(s.module), s.layer.text, When(s.when));
  }
  std::string operator()(const ast::Within& s) const {
    std::string body = StatementPrinter(depth_ + 1).All(s.body);
    if (!body.empty()) body.pop_back();
    return fmt::format("(within {} {} {}{}{}{}{})", Print(s.from), s.reversible ? "<->" : "->", Print(s.to),
                       When(s.when), Exactly(s.exactly), body.empty() ? "" : "\n", body);
  }
  std::string operator()(const ast::Rule& s) const { return Print(s); }
  std::string operator()(const ast::Drop& s) const { return Print(s); }
  std::string operator()(const ast::Init& s) const {
    return fmt::format("(init {} ({}{}){})", Print(s.pattern), s.kind.text, Print(s.args), When(s.when));
  }
  std::string operator()(const ast::Target& s) const { return Print(s, indent_); }
  std::string operator()(const ast::Assert& s) const {
    return fmt::format("(assert {}{})", Print(s.condition), s.message ? " " + Quote(*s.message) : "");
  }
  std::string operator()(const ast::Place& s) const {
    return fmt::format("(place {} {}{})", Print(s.pattern), Quote(s.device.text), When(s.when));
  }
  std::string operator()(const ast::Shard& s) const {
    return fmt::format("(shard {} {} {}{})", Print(s.pattern), Print(s.axis), s.over.text, When(s.when));
  }
  std::string operator()(const ast::Decide& s) const {
    constexpr const char* kKinds[] = {"", " for", " missing", " unused"};
    std::string out = fmt::format("(decide {}{}", Quote(s.question.text), kKinds[static_cast<size_t>(s.kind)]);
    for (const ast::Pattern& pattern : s.patterns) out += " " + Print(pattern);
    return out + ")";
  }
  std::string operator()(const ast::NamedSources& s) const {
    std::string out = "(source";
    for (const ast::NamedSource& source : s.list) out += " " + source.name.text + (source.optional ? "?" : "");
    return out + ")";
  }
  std::string operator()(const ast::TestBlock& s) const {
    std::string out =
        fmt::format("(test {}{}", Quote(s.name.text), s.with.empty() ? "" : " (with" + Print(s.with) + ")");
    for (const auto* sides : {&s.source, &s.target}) {
      for (const ast::TestSide& side : *sides) {
        out += "\n" + indent_ + (sides == &s.source ? "  (source" : "  (target");
        for (const ast::TestTensor& tensor : side.tensors) out += "\n" + indent_ + "    " + Print(tensor);
        out += ")";
      }
    }
    for (const ast::TestError& error : s.errors) {
      out +=
          fmt::format("\n{}  (error {}{})", indent_, error.code.text, error.tensor ? " " + Print(*error.tensor) : "");
    }
    return out + ")";
  }

 private:
  int depth_;
  std::string indent_;
};

}  // namespace

std::string PrintAst(const ast::File& file) {
  std::string out = file.edition ? fmt::format("(edition {})\n", *file.edition) : "(no edition)\n";
  return out + StatementPrinter(0).All(file.statements);
}

}  // namespace ckmap
