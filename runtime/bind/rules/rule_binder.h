// Rules against manifests: which source tensors each rule applies to, and what each application makes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plan.pb.h"
#include "runtime/bind/issue.h"
#include "runtime/bind/names/matcher.h"
#include "runtime/bind/names/renamer.h"
#include "runtime/bind/rules/visible_source.h"
#include "runtime/bind/values/tensor_expr.h"
#include "runtime/bind/values/variables.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

// What all of bind works on.
struct BindContext {
  const plan::Plan& plan;
  const VisibleSource& visible;
  const Manifest& source;  // what statements see: visible.manifest(). Indices of source tensors count this one, but
                           // those of inputs, which count visible.files()
  const Manifest& target;
  const BoundVariables& variables;
  const Renamer& renamer;
  std::string source_separator, target_separator;
  bool deriving = false;  // the right sides name tensors of the source

  BindContext(const plan::Plan& plan, const VisibleSource& visible, const Manifest& target,
              const BoundVariables& variables, const Renamer& renamer);

  // "torch2ms.ckmap:12".
  std::string Where(const plan::Location& loc) const;
  uint32_t Level(const plan::Location& loc) const { return plan.files(static_cast<int>(loc.file())).level(); }
};

// What stands in front of the names of a rule: empty, or a module's path with its separator.
struct NamePrefix {
  std::string source, target;
};

// One application of a rule.
struct RuleInstance {
  const plan::Rule* rule = nullptr;
  const plan::Layer* layer = nullptr;  // that the rule belongs to
  std::string passed;                  // without a rule: why the tensor goes there, as reports show it
  struct Write {
    size_t target = kNoTarget;            // index into the target manifest
    std::string name;                     // only where the target has no such tensor
    std::shared_ptr<PiecedTensor> value;  // null: all of the application's one source, as it is
    bool shared = false;  // by applications that differ in names only: sources[0] stands for what the inputs say
  };
  static constexpr size_t kNoTarget = static_cast<size_t>(-1);
  std::vector<size_t> sources;  // that it reads, each once
  std::vector<Write> writes;
  std::vector<std::string> ops;
  std::vector<Issue> issues;   // why it could not be applied; writes is empty then
  std::vector<size_t> missed;  // then: targets that it would have written, as far as they are known

  // Calls `visit` with the index of each target that it writes or would have written.
  template <typename Visit>
  void ForEachTarget(Visit visit) const {
    for (const Write& write : writes) {
      if (write.target != kNoTarget) visit(write.target);
    }
    for (const size_t target : missed) visit(target);
  }
  bool Targets(size_t target) const {
    bool found = false;
    ForEachTarget([&](size_t other) { found = found || other == target; });
    return found;
  }
};

// What `write` of `instance` gives its target; moved out of it, unless it is shared.
PiecedTensor TakeValue(const BindContext& context, const RuleInstance& instance, const RuleInstance::Write& write);

// Values of captures for one application, with what its gathers and its regular expression found.
struct Application {
  Captures captures;
  std::map<const plan::Term*, std::vector<Captures>> gathered;
  std::optional<size_t> direct;  // the one tensor that the rule's only name matched, where that is known
};

// Scope of one application: parameters, captures, sizes, questions about the manifests.
class ApplicationScope : public Scope {
 public:
  ApplicationScope(const BindContext& context, const NamePrefix& prefix, const Captures& captures)
      : context_(context), prefix_(prefix), captures_(captures) {}

  Value Variable(const std::string& name) const override { return context_.variables.Variable(name); }
  Value Capture(const std::string& name) const override;
  Value Dim(const std::string& name) const override;
  Result<Value> Lookup(const std::string& function, const plan::Pattern& name,
                       const std::vector<Value>& args) const override;

  std::map<std::string, int64_t> dims;

 private:
  Result<Value> ContentsAt(const std::string& function, const std::string& name, const std::vector<Value>& args) const;

  const BindContext& context_;
  const NamePrefix& prefix_;
  const Captures& captures_;
};

// All applications of these rules, none of them of a layer, in their order.
Result<std::vector<RuleInstance>> BindRules(const BindContext& context, const std::vector<const plan::Rule*>& rules,
                                            std::vector<Issue>& issues);

// The plan's rules that write targets, but for those of layers.
std::vector<const plan::Rule*> RulesOf(const plan::Plan& plan);

// Applications of one rule inside a module. `leaves`: indices of the tensors directly in it.
Result<std::vector<RuleInstance>> BindRuleInModule(const BindContext& context, const plan::Layer& layer,
                                                   const plan::Rule& rule, const NamePrefix& prefix,
                                                   const std::vector<size_t>& leaves);

// Whether the sources that a rule names are there, in the shapes that it says: "" if so, else why not.
// A rule all of whose names are optional and absent fits.
Result<std::string> WhyRuleDoesNotFit(const BindContext& context, const plan::Rule& rule, const NamePrefix& prefix,
                                      const Captures& captures = {});

// Calls `visit(term)` for each term of a pipeline that is a name, left to right.
void ForEachName(const plan::Pipeline& pipeline, const std::function<void(const plan::Term&)>& visit);

}  // namespace ckmap
