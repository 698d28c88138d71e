#include <algorithm>

#include <fmt/format.h>

#include "compiler/lsp/features.h"
#include "compiler/lsp/matches.h"
#include "compiler/lsp/words.h"
#include "runtime/base/text.h"
#include "runtime/ops/op_table.h"

namespace ckmap::lsp {
namespace {

std::string Code(std::string_view text) { return fmt::format("```ckmap\n{}\n```\n", text); }

class Hoverer {
 public:
  explicit Hoverer(const Analysis& analysis) : analysis_(analysis) {}

  std::string About(const Symbol& symbol) const {
    switch (symbol.kind) {
      case SymbolKind::kOp:
        return OpText(symbol.name);
      case SymbolKind::kFunction:
        return FunctionText(symbol.name);
      case SymbolKind::kParam:
      case SymbolKind::kLet:
      case SymbolKind::kLayer:
        return StatementText(symbol);
      case SymbolKind::kCapture:
        return CaptureText(symbol);
      case SymbolKind::kDim:
        return DimText(symbol);
      case SymbolKind::kUse:
        return UseText(symbol);
    }
    return "";
  }

 private:
  static std::string OpText(const std::string& name) {
    const OpSpec* op = FindOp(name);
    return op == nullptr ? "" : OpMarkdown(*op);
  }
  static std::string FunctionText(const std::string& name) {
    const FunctionSpec* function = FindFunction(name);
    return function == nullptr ? "" : FunctionMarkdown(*function);
  }

  std::string TextOf(Span span) const { return std::string(analysis_.sources.Text(span)); }

  // The statement that defines a parameter, a value or a layer (without its body), and what it says of itself.
  std::string StatementText(const Symbol& symbol) const {
    for (const Unit& unit : analysis_.program.units) {
      for (const ast::Statement& statement : unit.tree.statements) {
        if (!Defines(statement, unit, symbol)) continue;
        std::string text = TextOf(statement.span);
        if (symbol.kind == SymbolKind::kLayer) text = text.substr(0, text.find('{')) + "{ … }";
        std::string out = Code(text);
        if (!statement.doc.empty()) out += statement.doc + "\n";
        return out;
      }
    }
    return "";
  }

  static bool Defines(const ast::Statement& statement, const Unit& unit, const Symbol& symbol) {
    const auto is = [&](const ast::Identifier& name) {
      return name.text == symbol.name || (!unit.scope.empty() && unit.scope + "." + name.text == symbol.name);
    };
    if (const auto* param = std::get_if<ast::Param>(&statement.kind))
      return symbol.kind == SymbolKind::kParam && is(param->name);
    if (const auto* let = std::get_if<ast::Let>(&statement.kind))
      return symbol.kind == SymbolKind::kLet && is(let->name);
    if (const auto* layer = std::get_if<ast::Layer>(&statement.kind))
      return symbol.kind == SymbolKind::kLayer && is(layer->name);
    return false;
  }

  std::string CaptureText(const Symbol& symbol) const {
    std::string out;
    for (const Symbol* other : analysis_.symbols.SameAs(symbol)) {
      if (!other->definition) continue;
      // The hole: from its brace to its brace.
      const std::string_view text = analysis_.file().text();
      const size_t open = text.rfind('{', other->span.begin), close = text.find('}', other->span.end);
      const bool hole =
          open != std::string_view::npos && close != std::string_view::npos && open + 1 == other->span.begin;
      out = fmt::format("capture `{}`", hole ? text.substr(open, close - open + 1) : symbol.name);
      break;
    }
    if (out.empty()) out = fmt::format("capture `{}`", symbol.name);
    const std::string values = CaptureValues(analysis_, symbol);
    return values.empty() ? out : fmt::format("{}\n\nin the source: {}", out, values);
  }

  std::string DimText(const Symbol& symbol) const {
    return fmt::format("size `{}`: the same wherever this rule names it", symbol.name);
  }

  std::string UseText(const Symbol& symbol) const {
    for (const UseEdge& edge : analysis_.program.units[0].uses) {
      if (!(edge.use->target.span == symbol.span)) continue;
      const Unit& unit = analysis_.program.units[edge.unit];
      std::string out = fmt::format("`{}`", EscapeText(unit.name));
      if (!unit.pack_version.empty()) out += fmt::format(" {}", unit.pack_version);
      for (const ast::Statement& statement : unit.tree.statements) {
        if (std::holds_alternative<ast::Migration>(statement.kind) && !statement.doc.empty())
          out += "\n\n" + statement.doc;
      }
      return out;
    }
    return "";
  }

  const Analysis& analysis_;
};

const Token* TokenAt(const Analysis& analysis, uint32_t offset) {
  for (const Token& token : analysis.tokens) {
    if (offset >= token.span.begin && offset < token.span.end) return &token;
  }
  return nullptr;
}

}  // namespace

std::optional<Hover> HoverAt(const Analysis& analysis, uint32_t offset) {
  if (!analysis.readable()) return std::nullopt;
  if (const Symbol* symbol = analysis.symbols.At(offset)) {
    std::string text = Hoverer(analysis).About(*symbol);
    if (!text.empty()) return Hover{std::move(text), symbol->span};
  }
  const Token* token = TokenAt(analysis, offset);
  if (token == nullptr) return std::nullopt;
  const std::string_view word = analysis.sources.Text(token->span);
  const bool reserved = token->kind == TokenKind::kKeyword || word == "ckmap" || word == "allow" || word == "match";
  if (const WordDoc* doc = reserved ? FindWordDoc(word) : nullptr) {
    return Hover{Code(doc->form) + std::string(doc->doc), token->span};
  }
  std::string matches = MatchesMarkdown(analysis, offset);
  if (matches.empty()) return std::nullopt;
  return Hover{std::move(matches), token->span};
}

}  // namespace ckmap::lsp
