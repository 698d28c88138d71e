// What no shape check can see: rules of which another variant would fit the same shapes. A square
// matrix fits its own transpose; equal parts fit in any order. Each rule is told of in one line,
// unless it was confirmed with `exactly`.
#pragma once

#include <cstdint>
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
  void Report(const BindContext& context, std::vector<Issue>& issues) const;

 private:
  enum class Variant : uint8_t { kUntransposed, kTransposed, kPartsReordered, kPartsUngrouped, kJoinedReordered };
  static const char* Text(Variant variant);

  struct Key {
    const plan::Rule* rule;
    Variant variant;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const {
      return std::hash<const void*>{}(key.rule) * 31 + static_cast<size_t>(key.variant);
    }
  };
  struct Finding {
    size_t first = 0;  // target
    size_t count = 0;
  };
  void Count(Key key, Finding more);

  std::unordered_map<Key, Finding, Hash> findings_;
};

}  // namespace ckmap
