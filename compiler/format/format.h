// `ckmapc fmt`: one layout for every file. What a file says, its comments and its groups of lines stay; spaces, line
// breaks and columns are the formatter's. It works on the tokens and knows statements only by their words and
// brackets, so that a statement that is new to the grammar is laid out like the others.
#pragma once

#include <optional>
#include <string>

#include "compiler/diag/diagnostic.h"
#include "compiler/source/source_map.h"

namespace ckmap {

// Nothing for a file with mistakes in its syntax, which are reported. Formatting what came out changes nothing.
std::optional<std::string> Format(const SourceFile& file, FileId id, DiagnosticSink& sink);

}  // namespace ckmap
