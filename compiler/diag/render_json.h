// Diagnostics for editors and scripts.
#pragma once

#include <span>
#include <string>

#include "compiler/diag/diagnostic.h"
#include "compiler/source/source_map.h"

namespace ckmap {

// One JSON object, ending in a newline:
//   {"diagnostics": [{"code": "CK0301", "severity": "error", "message": "…",
//     "span": {"file": "a.ckmap", "begin": {"offset": 10, "line": 2, "column": 3}, "end": {…}},
//     "label": "…", "labels": [{"span": {…}, "text": "…"}], "notes": ["…"], "help": "…",
//     "fixes": [{"title": "…", "edits": [{"span": {…}, "replacement": "…"}]}]}],
//    "errors": 1, "warnings": 0}
// Offsets are bytes from 0; lines and columns count from 1, columns in characters; ends are
// exclusive. Bytes that are not UTF-8 become U+FFFD.
std::string RenderJson(std::span<const Diagnostic> diagnostics, const SourceMap& sources);

}  // namespace ckmap
