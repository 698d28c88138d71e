// The tokens of a file, for tools that work on its text: the formatter, editors, tests.
#pragma once

#include <string>
#include <vector>

#include "compiler/source/source_map.h"

namespace ckmap {

enum class TokenKind : uint8_t {
  kWord,     // a name, or a word with a meaning in one place only
  kKeyword,  // reserved
  kDotted,   // a.b.0
  kNumber,   // also a version, 1.2.3
  kText,     // "…"
  kRegex,    // /^…$/
  kSymbol,   // arrows, operators, brackets, separators
  kComment,  // from # to the end of the line
  kDoc,      // from /// to the end of the line
  kBad,      // what the language does not know, and texts without their end
};

struct Token {
  TokenKind kind;
  Span span;
};

// All tokens in order, comments too, white space not. A byte order mark is no token.
std::vector<Token> Tokenize(const SourceFile& file, FileId id);

struct LanguageWords {
  std::vector<std::string> reserved;  // must be quoted to be names
  std::vector<std::string> special;   // have a meaning in one place, are names elsewhere
};
// From the lexer itself.
LanguageWords Words();

}  // namespace ckmap
