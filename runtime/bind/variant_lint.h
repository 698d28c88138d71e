// What no shape check can see: rules of which another variant would fit the same shapes. A square
// matrix fits its own transpose; equal parts fit in any order. Each rule is told of in one line,
// unless it was confirmed with `exactly`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/bind/rule_binder.h"

namespace ckmap {

class VariantLint {
 public:
  // One application whose target `bound` fits.
  void Look(const BindContext& context, const RuleInstance& instance, const BoundTensor& bound);

  // Adds one note (CK1230) a rule and kind of variant, in a stable order.
  void Report(std::vector<Issue>& issues) const;

 private:
  struct Finding {
    std::string first;  // target name
    size_t count = 0;
  };
  void Add(const std::string& where, const std::string& what, const std::string& target);

  std::map<std::pair<std::string, std::string>, Finding> findings_;  // (rule, what)
};

}  // namespace ckmap
