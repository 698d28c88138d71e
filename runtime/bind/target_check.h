// The strict comparison of what the rules make with what the target wants, element by element.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/bind/rule_binder.h"
#include "runtime/bind/variant_lint.h"

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

 private:
  struct Claim {
    RuleInstance* instance = nullptr;
    size_t write = 0;
  };
  struct Policy {
    const plan::TargetPolicy* policy;
    std::vector<CompiledName> patterns;  // empty: every name
  };

  Result<void> ReadPolicies();
  Result<void> ReadInits();
  const plan::TargetPolicy* Allowed(plan::TargetPolicy::Kind kind, const std::string& name) const;
  void CollectClaims(std::vector<RuleInstance>& instances);
  Result<void> CheckTarget(size_t index);
  Result<void> BindClaim(size_t index, const Claim& claim);
  Result<bool> Initialize(size_t index);
  bool Fill(const plan::Init& init, size_t index);
  // False: the tensor cannot be made so. `bound.ops` gets what it would be made by.
  bool FillConstant(const plan::Init& init, BoundTensor& bound) const;
  bool FillNormal(const plan::Init& init, BoundTensor& bound) const;
  void ReportMissing(size_t index);
  void ReportDuplicate(size_t index, std::vector<Claim> claims);
  void ReportUnknownTargets(std::vector<RuleInstance>& instances);
  bool FitShape(const TensorInfo& target, const Claim& claim, Shape& shape);
  bool FitDType(const TensorInfo& target, const Claim& claim, TensorValue& tensor, std::vector<std::string>& ops);
  void CheckSources(const std::vector<RuleInstance>& instances);
  void ReportUnused(size_t source);
  void CheckUnread();
  std::string RuleNote(const RuleInstance& instance) const;
  void Add(std::string code, std::string tensor, std::string message, std::vector<std::string> notes, std::string help);

  const BindContext& context_;
  BoundPlan& bound_;
  std::vector<Issue>& issues_;
  std::vector<Policy> policies_;
  std::vector<std::pair<const plan::Init*, CompiledName>> inits_;  // lowest level first
  std::vector<Claim> claims_;                              // of each target: the first, or none
  std::unordered_map<size_t, std::vector<Claim>> rivals_;  // further claims of a target
  std::vector<bool> failed_;                               // a rule for the target was reported
  std::vector<size_t> unused_sources_, unwritten_targets_;
  std::vector<size_t> missing_;
  VariantLint lint_;
};

}  // namespace ckmap
