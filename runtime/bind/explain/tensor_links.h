// Which source tensors the target tensors are made of, and by which applications: what the lint looks at.
#pragma once

#include <string>
#include <vector>

#include "runtime/bind/bound_plan.h"
#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// A target tensor that rules or names make of source tensors.
struct TensorLink {
  const BoundTensor* bound = nullptr;
  const RuleInstance* instance = nullptr;
};

class TensorLinks {
 public:
  // `instances[t]`: what writes target t, or null. All are referred to.
  TensorLinks(const BindContext& context, const BoundPlan& bound, const std::vector<const RuleInstance*>& instances);

  const std::vector<TensorLink>& all() const { return links_; }

  // A source and a target that share elements as they are, whatever is done to their order.
  struct Pair {
    size_t source = 0, target = 0;
    size_t link = 0;  // index into all()
  };
  const std::vector<Pair>& pairs() const { return pairs_; }

  // A tensor of one side that holds parts which are tensors of the other, in the order of their elements in it.
  struct Fused {
    bool on_source = false;  // else a target is made of the parts
    size_t whole = 0;
    struct Part {
      size_t tensor = 0;
      int64_t elements = 0;
    };
    std::vector<Part> parts;
    size_t link = 0;
  };
  const std::vector<Fused>& fused() const { return fused_; }

  // "torch2ms.ckmap:12", or why a tensor goes where it goes without a rule.
  std::string Where(const TensorLink& link) const;

 private:
  void AddJoined(size_t link);
  void AddCut();

  const BindContext& context_;
  std::vector<TensorLink> links_;
  std::vector<Pair> pairs_;
  std::vector<Fused> fused_;
};

}  // namespace ckmap
