// A spec: names, dtypes and shapes written down, as YAML or JSON.
//
//     framework: mindspore                 # optional, only reported
//     tensors:
//       - {name: conv1.weight, dtype: f32, shape: [64, 3, 7, 7]}
//       - {name: pos_embed,    dtype: any, shape: [1, -1, 768], optional: true}
//       - {name: head.weight,  dtype: f32, shape: [10, 64], tied_to: embed.weight}
//
// `dtype` is one of DTypeName (also `any`), -1 in a shape an axis of any size, `optional` a tensor
// that may be missing, `tied_to` the name of the tensor of the same spec whose bytes it shares. YAML
// anchors and aliases are refused: a few of them make a file that takes for ever to read.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/result.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

// Whether a text can be a spec at all: text, and its first word one of a spec's keys, or a brace.
bool LooksLikeSpec(std::string_view head);

// `text` is JSON if it begins with `{`, YAML otherwise. kMalformed with all mistakes at once, each
// "line 12: …".
Result<Manifest> ParseSpec(std::string_view text);

}  // namespace ckmap
