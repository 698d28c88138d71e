// What does not fit when a plan meets two manifests. All issues of a bind are reported at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ckmap {

enum class IssueSeverity { kError, kWarning, kNote };

// One registry of codes; a golden case for each is demanded by a test.
// CK12xx: plan × manifests. CK13xx: parameters. CK14xx: values while converting.
struct Issue {
  std::string code;  // "CK1203"
  IssueSeverity severity = IssueSeverity::kError;
  std::string tensor;              // the source or target name it is about; may be empty
  std::string message;             // what was found, one line
  std::vector<std::string> notes;  // facts: expected, the rule and its line, nearest candidates
  std::string help;                // what to do
};

}  // namespace ckmap
