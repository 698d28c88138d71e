#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "compiler/lsp/features.h"

namespace ckmap::lsp {
namespace {

// Of a parameter or a layer of a used file: `heads` there is `llama.heads` here, a layer has either name.
std::optional<Span> DefinitionIn(const Unit& unit, const Symbol& symbol) {
  for (const ast::Statement& statement : unit.tree.statements) {
    const ast::Identifier* name = nullptr;
    if (const auto* param = std::get_if<ast::Param>(&statement.kind)) name = &param->name;
    if (const auto* let = std::get_if<ast::Let>(&statement.kind)) name = &let->name;
    if (const auto* layer = std::get_if<ast::Layer>(&statement.kind)) name = &layer->name;
    if (name == nullptr) continue;
    const bool layer = symbol.kind == SymbolKind::kLayer && name->text == symbol.name;
    if (layer || unit.scope + "." + name->text == symbol.name) return name->span;
  }
  return std::nullopt;
}

bool IsName(const std::string& text) {
  const auto word = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) == 0 &&
         std::all_of(text.begin(), text.end(), word);
}

}  // namespace

std::vector<Place> DefinitionAt(const Analysis& analysis, uint32_t offset) {
  const Symbol* symbol = analysis.readable() ? analysis.symbols.At(offset) : nullptr;
  if (symbol == nullptr) return {};
  if (symbol->kind == SymbolKind::kUse) {
    for (const UseEdge& edge : analysis.program.units[0].uses) {
      const Unit& unit = analysis.program.units[edge.unit];
      if (edge.use->target.span == symbol->span) return {{unit.path, {unit.file, 0, 0}}};
    }
    return {};
  }
  for (const Symbol* other : analysis.symbols.SameAs(*symbol)) {
    if (other->definition) return {{"", other->span}};
  }
  if (symbol->kind != SymbolKind::kLayer && symbol->kind != SymbolKind::kParam) return {};
  for (size_t i = 1; i < analysis.program.units.size(); ++i) {
    const Unit& unit = analysis.program.units[i];
    if (const auto span = DefinitionIn(unit, *symbol)) return {{unit.path, *span}};
  }
  return {};
}

std::vector<Span> ReferencesAt(const Analysis& analysis, uint32_t offset) {
  const Symbol* symbol = analysis.readable() ? analysis.symbols.At(offset) : nullptr;
  if (symbol == nullptr) return {};
  std::vector<const Symbol*> all = analysis.symbols.SameAs(*symbol);
  std::stable_partition(all.begin(), all.end(), [](const Symbol* other) { return other->definition; });
  std::vector<Span> spans;
  for (const Symbol* other : all) spans.push_back(other->span);
  return spans;
}

const Symbol* RenamableAt(const Analysis& analysis, uint32_t offset) {
  const Symbol* symbol = analysis.readable() ? analysis.symbols.At(offset) : nullptr;
  if (symbol == nullptr || symbol->kind == SymbolKind::kOp || symbol->kind == SymbolKind::kFunction ||
      symbol->kind == SymbolKind::kUse) {
    return nullptr;
  }
  // What another file defines is renamed there.
  const auto same = analysis.symbols.SameAs(*symbol);
  const bool here = std::any_of(same.begin(), same.end(), [](const Symbol* other) { return other->definition; });
  return here ? symbol : nullptr;
}

Result<std::vector<Span>> RenameAt(const Analysis& analysis, uint32_t offset, const std::string& name) {
  const Symbol* symbol = RenamableAt(analysis, offset);
  if (symbol == nullptr) return Error(ErrorCode::kUsage, "there is nothing here that this file names");
  const std::vector<std::string> reserved = Words().reserved;
  if (!IsName(name))
    return Error(ErrorCode::kUsage, fmt::format("`{}` is no name: letters, digits and underscores", name));
  if (std::find(reserved.begin(), reserved.end(), name) != reserved.end()) {
    return Error(ErrorCode::kUsage, fmt::format("`{}` is a keyword of the language", name));
  }
  const auto variable = [](SymbolKind kind) { return kind == SymbolKind::kParam || kind == SymbolKind::kLet; };
  for (const Symbol& other : analysis.symbols.symbols) {
    const bool file_wide = variable(other.kind) || variable(symbol->kind);
    const bool layers = symbol->kind == SymbolKind::kLayer;
    const bool meets = layers ? other.kind == SymbolKind::kLayer
                              : other.kind != SymbolKind::kLayer && (file_wide || other.scope == symbol->scope);
    if (other.definition && other.name == name && meets && name != symbol->name) {
      return Error(ErrorCode::kUsage, fmt::format("`{}` is taken", name));
    }
  }
  return ReferencesAt(analysis, offset);
}

}  // namespace ckmap::lsp
