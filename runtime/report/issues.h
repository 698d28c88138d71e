// Issues as text, in the manner of the compiler's diagnostics:
//
//   error[CK1203]: no rule writes target tensor `fc.weight` [10, 64]
//      = note: nearest source tensor: `classifier.weight` [10, 64]
//      = help: rename classifier -> fc;
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/base/json_writer.h"
#include "runtime/bind/issue.h"
#include "runtime/report/style.h"

namespace ckmap {

struct IssueTextOptions {
  Style style;
  bool all = false;     // neither fold nor cut
  size_t full = 3;      // of one code, with their notes
  size_t one_line = 5;  // more of it
  size_t notes = 8;     // of one issue
};

// Issues that differ only in numbers (one in each of 32 layers) are one, told with its count; of
// many of one code the first are shown in full, some more in one line, and the rest is counted.
// Errors first. Lines end in '\n'.
std::string RenderIssues(const std::vector<Issue>& issues, const IssueTextOptions& options = {});

// A JSON array: [{"code": …, "severity": …, "tensor": …, "message": …, "notes": […], "help": …}].
void WriteIssues(JsonWriter& json, const std::vector<Issue>& issues);

// "34 errors, 2 warnings"; "" for none.
std::string CountIssues(const std::vector<Issue>& issues);

}  // namespace ckmap
