// What does not fit when a plan meets two manifests. All issues of a bind are reported at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor/dtype.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

enum class IssueSeverity { kError, kWarning, kNote };

// What a search for the cause of an issue starts from, where the message is words.
struct IssueFacts {
  Shape given, wanted;  // of CK1203 about a target: the shape that the rule gives, the target's shape
  DType given_dtype = DType::kAny, wanted_dtype = DType::kAny;  // of CK1204
  std::vector<size_t> sources;                                  // indices into the source manifest, of the files
  uint32_t file = 0, line = 0, column = 0;                      // of the rule; line 0: no rule, or not known
};

// One registry of codes; a golden case for each is demanded by a test.
// CK12xx: plan × manifests. CK13xx: parameters. CK14xx: values while converting.
struct Issue {
  std::string code;  // "CK1203"
  IssueSeverity severity = IssueSeverity::kError;
  std::string tensor;                                 // the source or target name it is about; may be empty
  std::string message;                                // what was found, one line
  std::vector<std::string> notes;                     // facts: expected, the rule and its line, nearest candidates
  std::string help;                                   // what to do
  std::shared_ptr<const IssueFacts> facts = nullptr;  // null: there are none
};

}  // namespace ckmap
