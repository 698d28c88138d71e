// What the names of a file mean: every place where a parameter, a layer, a capture, a size, a pack, an operation or
// a function is defined or used. From the syntax tree alone, so that it works in files with mistakes.
#pragma once

#include <string>
#include <vector>

#include "compiler/syntax/ast.h"

namespace ckmap::lsp {

enum class SymbolKind { kParam, kLet, kLayer, kCapture, kDim, kUse, kOp, kFunction };

struct Symbol {
  SymbolKind kind = SymbolKind::kParam;
  std::string name;
  Span span;
  bool definition = false;
  size_t scope = 0;  // captures and sizes of one name and one scope are one; 0: the file
};

// A statement that names tensors, and its parts.
struct TensorStatement {
  Span span;
  std::vector<const ast::Pattern*> patterns;
};

struct Outline {
  std::string name, detail;
  enum class Kind {
    kMigration,
    kParam,
    kLet,
    kLayer,
    kWithin,
    kRule,
    kRename,
    kUse,
    kTest,
    kOther
  } kind = Kind::kOther;
  Span span, name_span;
  std::vector<Outline> children;
};

struct FileSymbols {
  std::vector<Symbol> symbols;  // sorted by place
  std::vector<TensorStatement> statements;
  std::vector<Outline> outline;

  // The symbol at a byte of the file, or right behind it; null: none.
  const Symbol* At(uint32_t offset) const;
  // All places of the same thing.
  std::vector<const Symbol*> SameAs(const Symbol& symbol) const;
};

// Refers to the tree.
FileSymbols ReadSymbols(const ast::File& file, const SourceFile& source);

}  // namespace ckmap::lsp
