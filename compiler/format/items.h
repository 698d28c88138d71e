// A file as the formatter sees it: statements and comments, blocks inside of each other. Private to compiler/format.
#pragma once

#include <string_view>
#include <vector>

#include "compiler/source/source_map.h"
#include "compiler/syntax/tokens.h"

namespace ckmap::format {

struct Word {
  TokenKind kind = TokenKind::kWord;
  std::string_view text;
  std::vector<std::string_view> above;  // comments on lines of their own, inside of the statement
  std::string_view behind;              // comment behind it on its line

  bool Is(std::string_view symbol) const { return text == symbol && kind != TokenKind::kText; }
};

struct Item {
  bool blank_above = false;
  std::string_view comment;  // a comment on a line of its own: no words
  std::vector<Word> words;   // a statement to its `;` or `{`
  bool block = false;
  bool one_line = false;  // the block opens and closes on one line; no comment in it nor in its head
  std::vector<Item> body;
  std::string_view behind;  // comment behind the `;` or `}`
};

// Of a file without mistakes. The texts are those of `file`.
std::vector<Item> ReadItems(const SourceFile& file, FileId id);

}  // namespace ckmap::format
