// What no shape check can see: rules of which another variant would fit the same shapes. A square
// matrix fits its own transpose; equal parts fit in any order. Each rule is told of in one line,
// unless it was confirmed with `exactly`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// What was found of one rule.
class RuleVariants {
 public:
  enum class Variant : uint8_t { kUntransposed, kTransposed, kPartsReordered, kPartsUngrouped, kJoinedReordered };
  static constexpr size_t kVariants = static_cast<size_t>(Variant::kJoinedReordered) + 1;
  struct Finding {
    size_t first = 0;  // target
    size_t count = 0;

    void Add(const Finding& more);
  };

  // One application of the rule, whose target `bound` fits.
  void Look(const BindContext& context, const RuleInstance& instance, const BoundTensor& bound);

  // What was found in later targets.
  void Add(const RuleVariants& later);

  // By variant.
  const std::array<Finding, kVariants>& findings() const { return findings_; }

 private:
  std::array<Finding, kVariants> findings_;
};

// Adds one note (CK1230) a rule and kind of variant, in a stable order.
void ReportVariants(const BindContext& context, const std::unordered_map<const plan::Rule*, RuleVariants>& rules,
                    std::vector<Issue>& issues);

}  // namespace ckmap
