// What an editor asks about a place in a file. Offsets are bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/lsp/analysis.h"
#include "runtime/base/result.h"

namespace ckmap::lsp {

struct Hover {
  std::string markdown;
  Span span;
};
std::optional<Hover> HoverAt(const Analysis& analysis, uint32_t offset);

// A place in the file itself or in one that it uses.
struct Place {
  std::string path;  // empty: the file itself
  Span span;
};
std::vector<Place> DefinitionAt(const Analysis& analysis, uint32_t offset);

// All places of the symbol at `offset`, its definition first; empty: there is none.
std::vector<Span> ReferencesAt(const Analysis& analysis, uint32_t offset);

// The places to change, or why the symbol cannot have that name (kUsage).
Result<std::vector<Span>> RenameAt(const Analysis& analysis, uint32_t offset, const std::string& name);
// The symbol that could be renamed; null: none.
const Symbol* RenamableAt(const Analysis& analysis, uint32_t offset);

struct Completion {
  enum class Kind { kKeyword, kFunction, kVariable, kConstant, kModule, kField, kSnippet, kFile };
  std::string label;
  Kind kind = Kind::kKeyword;
  std::string detail, documentation;
  std::string insert;    // empty: the label
  bool snippet = false;  // `insert` has `${1:…}`
};
struct Completions {
  std::vector<Completion> items;
  Span replaced;            // what is typed already
  bool incomplete = false;  // there are more
};
Completions CompleteAt(const Analysis& analysis, uint32_t offset, const std::vector<std::string>& pack_path);

}  // namespace ckmap::lsp
