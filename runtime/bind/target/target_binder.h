// Each target tensor against what claims it: shape, dtype, and that it is written whole. Targets do not depend on each
// other here, so that parts of a network can be bound at the same time, each by a binder of its own.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// One write of an application.
struct Claim {
  RuleInstance* instance = nullptr;
  size_t write = 0;
};

struct TargetClaims {
  std::vector<Claim> first;                               // of each target; without an instance: nothing claims it
  std::unordered_map<size_t, std::vector<Claim>> rivals;  // further claims of a target
};

// What a plan says of targets beside its rules.
struct TargetStatements {
  struct Policy {
    const plan::TargetPolicy* policy;
    std::vector<CompiledName> patterns;  // empty: every name
  };
  std::vector<Policy> policies;                                   // lowest level first
  std::vector<std::pair<const plan::Init*, CompiledName>> inits;  // lowest level first

  static Result<TargetStatements> Read(const BindContext& context);

  // The policy of this kind that holds for the name, or nullptr.
  const plan::TargetPolicy* Allowed(const BindContext& context, plan::TargetPolicy::Kind kind,
                                    const std::string& name) const;
};

// Whether a piece reads all of a tensor of `count` elements, in order.
bool ReadsAll(const Piece& piece, int64_t count);

// "the rule is torch2ms.ckmap:12: …"
std::string RuleNote(const BindContext& context, const RuleInstance& instance);

class TargetBinder {
 public:
  // What became of the targets that were bound, in their order.
  struct Part {
    std::vector<BoundTensor> tensors;
    std::vector<KeptTensor> kept;
    std::vector<Issue> issues;
    std::vector<size_t> missing;  // nothing claims or initialises them
    // Of the sources: those that a tensor is read from whole and as they are. Nearly all tensors are made of one such
    // source; the targets of the others are in `partial`.
    std::vector<size_t> whole, partial;
    std::unordered_map<const plan::Rule*, std::string> rules;  // that wrote a target, as reports show them
    std::set<const plan::Init*> inits;                         // that made or kept a target
  };

  // All are referred to. What a claim writes is moved out of its application.
  TargetBinder(const BindContext& context, const TargetStatements& statements, const TargetClaims& claims)
      : context_(context), statements_(statements), claims_(claims) {}

  Result<void> Bind(size_t index);
  Part& part() { return part_; }

 private:
  // `bound` gets the target. False: it is not made, for it is kept, or missing, or an issue says why.
  Result<bool> Make(size_t index, BoundTensor& bound);
  Result<bool> BindClaim(size_t index, const Claim& claim, BoundTensor& bound);
  Result<bool> Initialize(size_t index, BoundTensor& bound);
  bool Fill(const plan::Init& init, size_t index, BoundTensor& bound);
  // False: the tensor cannot be made so. `bound.ops` gets what it would be made by.
  bool FillConstant(const plan::Init& init, BoundTensor& bound) const;
  bool FillNormal(const plan::Init& init, BoundTensor& bound) const;
  void ReportDuplicate(size_t index, std::vector<Claim> claims);
  void NoteRule(const RuleInstance& instance, BoundTensor& bound);
  void NoteReading(const BoundTensor& bound);
  bool Readable(const RuleInstance& instance, const PiecedTensor& tensor);
  bool FitShape(const TensorInfo& target, const Claim& claim, BoundTensor& bound);
  bool FitDType(const TensorInfo& target, const Claim& claim, BoundTensor& tensor);
  void Add(std::string code, std::string tensor, std::string message, std::vector<std::string> notes, std::string help);

  const BindContext& context_;
  const TargetStatements& statements_;
  const TargetClaims& claims_;
  Part part_;
};

}  // namespace ckmap
