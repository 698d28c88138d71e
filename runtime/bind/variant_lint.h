// What no shape check can see: rules of which another variant would fit the same shapes. A square
// matrix fits its own transpose; equal parts fit in any order. Each rule is told of in one line,
// unless it was confirmed with `exactly`.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/bind/rule_binder.h"

namespace ckmap {

class VariantLint {
 public:
  // One application whose target `bound` fits.
  void Look(const BindContext& context, const RuleInstance& instance, const BoundTensor& bound);

  // What another found in later targets.
  void Add(const VariantLint& later);

  // Adds one note (CK1230) a rule and kind of variant, in a stable order.
  void Report(std::vector<Issue>& issues) const;

 private:
  struct Finding {
    const char* what;   // variant
    std::string where;  // rule
    std::string first;  // target
    size_t count = 0;
  };
  // `bound`: the first target that the finding is of.
  void Add(const plan::Rule* rule, const char* what, const BoundTensor& bound);
  Finding& Of(const plan::Rule* rule, const char* what, const std::string& where, const std::string& first);

  std::unordered_map<const plan::Rule*, std::vector<Finding>> findings_;
};

}  // namespace ckmap
