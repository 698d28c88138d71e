// Diagnostics as people read them:
//
//   torch2ms.ckmap:31:3: error[CK0301]: two rules write `fc.weight`
//      |
//   24 |   weight <-> "fc.weight";
//      |              ----------- first written here
//   31 |   "up.weight" <-> "fc.weight";
//      |                   ^^^^^^^^^^^ written again here
//      |
//      = note: every target tensor has exactly one rule
//      = help: drop one of them
#pragma once

#include <span>
#include <string>

#include "compiler/diag/diagnostic.h"
#include "compiler/source/source_map.h"

namespace ckmap {

// Position as people and editors count: 1-based line and column, columns in characters (code
// points; a tab is one, an invalid byte is one). Offsets past the end give the end.
LineColumn CharacterPosition(const SourceFile& file, uint32_t offset);

struct RenderOptions {
  bool color = false;  // ANSI escapes
};

// The first line is always `file:line:column: severity[code]: message`, for editors and scripts.
// Control characters of the source and of messages are shown as `\x1b`, never sent to a terminal.
std::string RenderText(const Diagnostic& diagnostic, const SourceMap& sources, const RenderOptions& options = {});

// All of them, a blank line between two, and a closing line "2 errors, 1 warning"; "" for none.
std::string RenderText(std::span<const Diagnostic> diagnostics, const SourceMap& sources,
                       const RenderOptions& options = {});

}  // namespace ckmap
