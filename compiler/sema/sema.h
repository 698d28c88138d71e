// Meaning: a program of syntax trees → typed rules, or everything that is wrong with them.
#pragma once

#include <map>
#include <string>

#include "compiler/diag/diagnostic.h"
#include "compiler/program/loader.h"
#include "compiler/sema/rule_set.h"

namespace ckmap {

struct SemaOptions {
  std::map<std::string, std::string> defines;  // parameter → value as typed; fixes it in the plan
  bool reverse = false;                        // every rule has to be one that can be undone
};

// The result is complete only if `sink` has no errors. `program.units` must not be empty.
RuleSet Analyze(const Program& program, const SemaOptions& options, DiagnosticSink& sink);

}  // namespace ckmap
