// Names that contradict what becomes of their tensors: `query` goes to `key_layer`, `weight` to `beta`, layers 0 and 1
// are exchanged, a norm of the attention goes to the MLP's, a fused `qkv` is cut in the order q, v, k. Shapes cannot tell, and the rule may be right all the same,
// so each is a warning (CK1234). `exactly` does not mute it.
#pragma once

#include <vector>

#include "runtime/bind/explain/tensor_links.h"
#include "runtime/bind/rules/rule_binder.h"

namespace ckmap {

// One warning for each rule, rename or pass-through, in a stable order.
void ReportContradictions(const BindContext& context, const TensorLinks& links, std::vector<Issue>& issues);

}  // namespace ckmap
