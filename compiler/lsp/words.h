// What the words of the language mean, for hover and completion.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runtime/ops/op_table.h"

namespace ckmap::lsp {

struct WordDoc {
  std::string_view word;
  std::string_view form;  // "drop PATTERN [when …] [equals VALUE] [because "reason"];"
  std::string_view doc;
  std::string_view snippet;  // as editors expand it; empty: the word alone. Only of statements
  bool in_block = false;     // may stand in a `within` block
};
// Statements first, then clauses.
std::span<const WordDoc> WordDocs();
const WordDoc* FindWordDoc(std::string_view word);

// Markdown, from the one table of operations.
std::string OpMarkdown(const OpSpec& op);
std::string FunctionMarkdown(const FunctionSpec& function);

}  // namespace ckmap::lsp
