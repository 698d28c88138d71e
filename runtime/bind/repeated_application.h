// Applications of one rule that differ in nothing but names. Networks repeat their layers: a rule of one source tensor
// whose sizes and conditions ask for no capture and no other tensor makes the same of each tensor of one shape and dtype,
// and what it makes is worked out once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/bind/rule_binder.h"

namespace ckmap {

// The applications of one rule to single tensors; for one thread.
class RepeatedApplication {
 public:
  explicit RepeatedApplication(const plan::Rule& rule);

  // As ckmap::Apply for the application of these captures to this tensor.
  std::optional<RuleInstance> Apply(const BindContext& context, Captures captures, size_t tensor);

 private:
  struct Known {
    DType dtype;
    Shape shape;
    bool whole = false;  // the source as it is: `value` is not set
    TensorValue value;   // over the one input 0
    std::vector<std::string> ops;
  };

  void Learn(const BindContext& context, size_t tensor, const RuleInstance& instance);
  std::optional<RuleInstance> Repeat(const BindContext& context, const Captures& captures, size_t tensor) const;

  const plan::Rule& rule_;
  bool repeats_ = false;
  std::optional<Known> known_;  // of the last shape and dtype
};

}  // namespace ckmap
