// The strict comparison of what the rules make with what the target wants, element by element.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/bind/rules/rule_binder.h"
#include "runtime/bind/target/target_binder.h"

namespace ckmap {

// Fills `bound.tensors` and `bound.kept`; everything that does not fit goes to `issues`:
// targets that nothing or two rules write, other shapes and dtypes, names that the target lacks,
// sources that nothing uses, elements that are written twice, never, or left unread.
class TargetCheck {
 public:
  TargetCheck(const BindContext& context, BoundPlan& bound, std::vector<Issue>& issues)
      : context_(context), bound_(bound), issues_(issues) {}

  // `bound.dropped` must be complete.
  Result<void> Run(std::vector<RuleInstance>& instances);
  // What shapes cannot tell: other readings, and names that contradict. After Run.
  void Lint();

 private:
  void CollectClaims(std::vector<RuleInstance>& instances);
  Result<void> BindTargets();
  void ReportMissing(size_t index);
  void ReportUnknownTargets(std::vector<RuleInstance>& instances);
  void CheckSources();
  void ReportUnused(size_t source, std::vector<std::string> notes);
  void AddUnused(const TensorInfo& info, std::vector<std::string> notes);
  void CheckUnread();
  // Sources that a rule is given and reads nothing of.
  void CheckUntouched(const std::vector<RuleInstance>& instances);
  // `init` statements that name targets which something else writes.
  Result<void> NoteIdleInits();
  void Add(std::string code, std::string tensor, std::string message, std::vector<std::string> notes, std::string help);

  const BindContext& context_;
  BoundPlan& bound_;
  std::vector<Issue>& issues_;
  TargetStatements statements_;
  TargetClaims claims_;
  std::vector<bool> failed_;  // a rule for the target was reported
  std::vector<size_t> unused_sources_, unwritten_targets_;
  std::vector<size_t> missing_;
  std::vector<bool> whole_;      // of each source: some tensor reads all of it
  std::vector<size_t> partial_;  // targets that are made of other than one whole source
  size_t explained_missing_ = 0;
  std::set<const plan::Init*> inits_;  // that made or kept a target
};

}  // namespace ckmap
