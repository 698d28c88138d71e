// Pages in Markdown: of a pack, of a file of rules, and of the operations. Everything on them is read from the rules,
// from pack.yaml and from the one table of operations.
#pragma once

#include <string>
#include <vector>

#include "compiler/program/loader.h"
#include "runtime/base/result.h"

namespace ckmap {

// `name` is a pack, a migration of one (`llama/hf2mindformers`), or a file. kUsage if there is nothing of that name,
// kMismatch for rules with mistakes in their syntax: half a page would mislead.
Result<std::string> RulesPage(const std::string& name, const LoadOptions& options);

std::string OperationsPage();

}  // namespace ckmap
