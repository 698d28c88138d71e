// Two norms whose names would agree if they were exchanged: `final_layer_norm` goes to `layer.0.layer_norm` and
// `layer.0.layer_norm` to `final_layer_norm`. The words decide in which their names differ, so that nothing has to be
// known of what they mean.
#pragma once

#include <string>
#include <vector>

#include "runtime/bind/explain/tensor_links.h"
#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

struct CrossedPair {
  size_t pair = 0;  // index into TensorLinks::pairs()
  std::string left, right;
};

// `pairs` of `links`, of which each stands for those that differ from it in numbers alone.
std::vector<CrossedPair> FindCrossedWords(const BindContext& context, const TensorLinks& links,
                                          const std::vector<size_t>& pairs);

}  // namespace ckmap
