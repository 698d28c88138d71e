// Applications of one rule that differ in nothing but names. Networks repeat their layers: a rule of one source tensor
// whose sizes and conditions ask for no capture and no other tensor makes the same of each tensor of one shape and
// dtype, and what it makes is worked out once.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// The applications of one rule, whose only pattern is given, to single tensors; for one thread.
class RepeatedApplication {
 public:
  RepeatedApplication(const plan::Rule& rule, const CompiledName& pattern);

  // As ckmap::Apply for the application to this tensor; nullopt too if its name does not match. `likely_target`: which
  // target it may write, a hint; set to the one behind that it writes.
  std::optional<RuleInstance> Apply(const BindContext& context, size_t tensor, size_t& likely_target);

 private:
  struct Known {
    DType dtype;
    Shape shape;
    std::shared_ptr<PiecedTensor> value;  // null: the source as it is
    std::vector<std::string> ops;
  };

  void Learn(const BindContext& context, size_t tensor, const RuleInstance& instance);
  std::optional<RuleInstance> Repeat(const BindContext& context, size_t tensor, size_t& likely_target);

  const plan::Rule& rule_;
  const CompiledName& pattern_;
  bool repeats_ = false;
  // The target's name: literals, and between them captures by their place in the pattern.
  std::vector<std::string> literals_;
  std::vector<size_t> captures_;
  std::optional<Known> known_;  // of the last shape and dtype
  std::vector<std::string_view> texts_;
  std::string name_;
};

}  // namespace ckmap
