#include "compiler/sema/scope.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"

namespace ckmap {
namespace {

std::string Qualified(const Unit& unit, std::string_view name) {
  return unit.scope.empty() ? std::string(name) : fmt::format("{}.{}", unit.scope, name);
}

ValueType TypeOf(std::string_view word) {
  if (word == "int") return ValueType::kInt;
  if (word == "float") return ValueType::kFloat;
  if (word == "bool") return ValueType::kBool;
  if (word == "string" || word == "json") return ValueType::kString;
  return ValueType::kUnknown;
}

// Equal as far as the text goes; enough to tell two `with` lists apart.
bool SameText(const ast::Expr& a, const ast::Expr& b);

bool SameArguments(const std::vector<ast::CallArgument>& a, const std::vector<ast::CallArgument>& b) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.begin(), a.end(), [&](const ast::CallArgument& left) {
    return std::any_of(b.begin(), b.end(), [&](const ast::CallArgument& right) {
      const std::string left_name = left.name ? left.name->text : "";
      const std::string right_name = right.name ? right.name->text : "";
      return left_name == right_name && left.value && right.value && SameText(*left.value, *right.value);
    });
  });
}

bool SameText(const ast::Expr& a, const ast::Expr& b) {
  if (a.kind.index() != b.kind.index()) return false;
  if (const auto* x = std::get_if<ast::IntLiteral>(&a.kind))
    return x->value == std::get_if<ast::IntLiteral>(&b.kind)->value;
  if (const auto* x = std::get_if<ast::NumberLiteral>(&a.kind))
    return x->value == std::get_if<ast::NumberLiteral>(&b.kind)->value;
  if (const auto* x = std::get_if<ast::StringLiteral>(&a.kind))
    return x->value == std::get_if<ast::StringLiteral>(&b.kind)->value;
  if (const auto* x = std::get_if<ast::BoolLiteral>(&a.kind))
    return x->value == std::get_if<ast::BoolLiteral>(&b.kind)->value;
  if (const auto* x = std::get_if<ast::NameRef>(&a.kind)) return x->name == std::get_if<ast::NameRef>(&b.kind)->name;
  if (const auto* x = std::get_if<ast::Unary>(&a.kind)) {
    const auto* y = std::get_if<ast::Unary>(&b.kind);
    return x->op == y->op && SameText(*x->operand, *y->operand);
  }
  if (const auto* x = std::get_if<ast::Binary>(&a.kind)) {
    const auto* y = std::get_if<ast::Binary>(&b.kind);
    return x->op == y->op && SameText(*x->left, *y->left) && SameText(*x->right, *y->right);
  }
  return false;
}

}  // namespace

VariableTable::VariableTable(const Program& program, DiagnosticSink& sink) : program_(program) {
  for (size_t unit = 0; unit < program.units.size(); ++unit) {
    for (const ast::Statement& statement : program.units[unit].tree.statements) {
      Declare(unit, statement, sink);
    }
  }
  for (size_t unit = 0; unit < program.units.size(); ++unit) {
    for (const UseEdge& edge : program.units[unit].uses) ApplyUse(unit, edge, sink);
  }
  FindPrefixes(sink);
}

// A file that a prefixed one uses has its prefix, too. Levels: whoever uses a file comes before it.
void VariableTable::FindPrefixes(DiagnosticSink& sink) {
  const size_t count = program_.units.size();
  prefixes_.resize(count);
  std::vector<size_t> order(count);
  for (size_t i = 0; i < count; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return program_.units[a].level < program_.units[b].level; });
  std::vector<std::optional<std::string>> texts(count);
  for (const size_t unit : order) {
    for (const UseEdge& edge : program_.units[unit].uses) {
      const std::string own = edge.use->prefix ? edge.use->prefix->text : "";
      const std::string outer = texts[unit].value_or("");
      const std::string text = outer.empty() || own.empty() ? outer + own : outer + "." + own;
      if (texts[edge.unit] && *texts[edge.unit] != text) {
        sink.Report(DiagnosticKind::kUsedTwice, edge.use->target.span,
                    fmt::format("`{}` is used twice with different prefixes", edge.use->target.text))
            .Help("a program holds one copy of a file, which has one prefix")
            .Emit();
      }
      texts[edge.unit] = text;
      if (text.empty()) continue;
      ast::Within within;
      const Span span = edge.use->prefix ? edge.use->prefix->span : edge.use->target.span;
      within.from.text = text;
      within.from.span = span;
      within.from.parts.push_back({ast::LiteralPart{text}, span});
      within.to.span = span;
      within.reversible = true;
      prefixes_[edge.unit] = std::make_shared<const ast::Within>(std::move(within));
    }
  }
}

void VariableTable::Declare(size_t unit, const ast::Statement& statement, DiagnosticSink& sink) {
  Entry entry;
  entry.expr_unit = unit;
  TypedVariable& variable = entry.variable;
  variable.unit = static_cast<uint32_t>(unit);
  variable.span = statement.span;
  variable.doc = statement.doc;
  if (const auto* param = std::get_if<ast::Param>(&statement.kind)) {
    variable.name = param->name.text;
    variable.name_span = param->name.span;
    variable.is_param = true;
    variable.type = TypeOf(param->type.text);
    variable.json = param->type.text == "json";
    if (variable.type == ValueType::kUnknown && !param->type.text.empty()) {
      static const std::vector<std::string> types = {"int", "float", "bool", "string", "json"};
      sink.Report(DiagnosticKind::kUnknownWord, param->type.span, fmt::format("`{}` is not a type", param->type.text))
          .Help(fmt::format("the types are {}", ListOf(types, "and")))
          .Emit();
    }
    if (param->config_key) variable.config_key = param->config_key->text;
    entry.expr = param->value.get();
  } else if (const auto* let = std::get_if<ast::Let>(&statement.kind)) {
    variable.name = let->name.text;
    variable.name_span = let->name.span;
    entry.expr = let->value.get();
  } else {
    return;
  }
  variable.qualified = Qualified(program_.units[unit], variable.name);
  if (!variable.name.empty()) Put(std::move(entry), sink);
}

void VariableTable::Put(Entry entry, DiagnosticSink& sink) {
  const auto [found, fresh] = by_name_.try_emplace(entry.variable.qualified, entries_.size());
  if (fresh) {
    entries_.push_back(std::move(entry));
    return;
  }
  const TypedVariable& first = entries_[found->second].variable;
  sink.Report(DiagnosticKind::kDuplicateName, entry.variable.name_span,
              fmt::format("`{}` is defined twice", entry.variable.name))
      .Here("defined again here")
      .With(first.name_span, "first defined here")
      .Emit();
}

void VariableTable::ApplyUse(size_t unit, const UseEdge& edge, DiagnosticSink& sink) {
  const auto [first, fresh] = first_use_.try_emplace(edge.unit, &edge);
  if (!fresh) {
    if (SameArguments(first->second->use->with, edge.use->with)) return;
    sink.Report(DiagnosticKind::kUsedTwice, edge.use->target.span,
                fmt::format("`{}` is used twice with different parameters", edge.use->target.text))
        .With(first->second->use->target.span, "first used here")
        .Help("a program holds one copy of a pack; give both the same `with (…)`")
        .Emit();
    return;
  }
  std::set<std::string> given;
  for (const ast::CallArgument& argument : edge.use->with) {
    const std::string name = argument.name ? argument.name->text : "";
    const Span span = argument.name ? argument.name->span : edge.span;
    const auto found = by_name_.find(Qualified(program_.units[edge.unit], name));
    if (found == by_name_.end() || !entries_[found->second].variable.is_param) {
      std::vector<std::string> known;
      for (const Entry& entry : entries_) {
        if (entry.variable.unit == edge.unit && entry.variable.is_param) known.push_back(entry.variable.name);
      }
      std::string help = DidYouMean(name, known);
      if (help.empty())
        help = known.empty() ? "it has no parameters" : fmt::format("its parameters are {}", ListOf(known, "and"));
      sink.Report(DiagnosticKind::kUnknownParam, span,
                  fmt::format("`{}` has no parameter `{}`", edge.use->target.text, name))
          .Help(help)
          .Emit();
      continue;
    }
    if (!given.insert(name).second) {
      sink.Report(DiagnosticKind::kDuplicateArgument, span, fmt::format("`{}` is given twice", name)).Emit();
      continue;
    }
    Entry& entry = entries_[found->second];
    entry.expr = argument.value.get();
    entry.expr_unit = unit;
    entry.variable.fixed = true;
  }
}

VariableTable::Entry* VariableTable::Find(size_t unit, std::string_view name) {
  Entry* entry = Lookup(unit, name);
  if (entry != nullptr) entry->used = true;
  return entry;
}

VariableTable::Entry* VariableTable::Lookup(size_t unit, std::string_view name) {
  auto found = by_name_.find(Qualified(program_.units[unit], name));
  if (found == by_name_.end()) {
    const size_t dot = name.find('.');
    if (dot == std::string_view::npos) return nullptr;
    for (const UseEdge& edge : program_.units[unit].uses) {
      if (program_.units[edge.unit].scope == name.substr(0, dot)) found = by_name_.find(name);
    }
    if (found == by_name_.end()) return nullptr;
  }
  return &entries_[found->second];
}

std::vector<std::string> VariableTable::NamesIn(size_t unit) const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) {
    if (entry.variable.unit == unit) names.push_back(entry.variable.name);
  }
  return names;
}

const VariableTable::Entry* VariableTable::FindQualified(std::string_view qualified) const {
  const auto found = by_name_.find(qualified);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

}  // namespace ckmap
