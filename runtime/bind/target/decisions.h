// `decide` statements: what the author of the rules has left open. The dry run reports them; nothing is converted
// while there is one.
#pragma once

#include "runtime/bind/bind.h"
#include "runtime/bind/target/target_binder.h"

namespace ckmap {

// Reports each statement as a warning (CK1240), with the tensors that it concerns.
void ReportDecisions(const BindContext& context, const TargetStatements& statements, const BoundPlan& bound,
                     std::vector<Issue>& issues);

// For whoever is about to convert: makes errors of these warnings. False: there are none.
bool RefuseOpenDecisions(std::vector<Issue>& issues);
// The same for callers that have no list of errors: the first that is open, kMismatch.
Result<void> CheckDecided(const std::vector<Issue>& issues);

}  // namespace ckmap
