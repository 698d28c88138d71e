// Causes of issues as text and JSON:
//
//   cause: all names of the source begin with `module.`, which the target's do not (131 of 131 errors)
//      = fix: add to torch2ms.ckmap (proved: no error is left):
//          rename "module" -> "";
#pragma once

#include <string>
#include <vector>

#include "runtime/base/json_writer.h"
#include "runtime/bind/issue.h"
#include "runtime/causes/cause.h"
#include "runtime/report/style.h"

namespace ckmap {

// The causes, and the issues that they are of: all of them if that is short or `all` is asked for, else those that no
// cause explains, and the count of the others. Lines end in '\n'.
std::string RenderMisfits(const Causes& causes, const std::vector<Issue>& issues, const Style& style, bool all);

// A JSON array: [{"kind", "message", "notes", "explains", "errors_left", "edits": [{"option"} or {"file", "range",
// "old_text", "new_text"}, each with "why", "certainty" ("proved" or "likely") and "errors_left"]}]. A range of null:
// new_text is added at the end of the file.
void WriteCauses(JsonWriter& json, const Causes& causes);

}  // namespace ckmap
