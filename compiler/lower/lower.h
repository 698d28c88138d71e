// Typed rules → plan, field by field. The same program gives the same plan on every machine:
// nothing of the folder, the time or the machine goes in.
#pragma once

#include <string>

#include "compiler/sema/rule_set.h"
#include "compiler/source/source_map.h"

namespace ckmap {

namespace plan {
class Plan;
}

// `compiler` is its version, as the plan records it. The rules must be free of errors.
plan::Plan Lower(const RuleSet& rules, const SourceMap& sources, const std::string& compiler, bool reverse);

// Source text on one line: comments left out, white space outside of quotes folded, no final `;`.
std::string OneLine(std::string_view text);

}  // namespace ckmap
