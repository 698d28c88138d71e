// The table of operations as text for people.
#pragma once

#include <string>

#include "runtime/ops/op_table.h"

namespace ckmap {

// All operations in Markdown, by kind: the part of grammar/LANGUAGE.md that a test holds to the table.
std::string OperationsMarkdown();

// One of them: signature, what it does, shapes, dtypes, inverse, cost and errors.
std::string OperationMarkdown(const OpSpec& op);

}  // namespace ckmap
