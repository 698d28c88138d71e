// A spec: the tensors of a network, or of a source, written down in YAML or JSON.
//
//     framework: mindspore                 # optional, only reported
//     tensors:
//       - {name: conv1.weight, dtype: f32, shape: [64, 3, 7, 7]}
//       - {name: pos_embed,    dtype: any, shape: [1, -1, 768], optional: true}
//       - {name: head.weight,  dtype: f32, shape: [10, 64], tied_to: embed.weight}
//
// `dtype` may be left out (any). Anchors and aliases are refused: a few of them can stand for
// more nodes than memory holds.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/result.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

// `path` is for messages. kMalformed lists everything that is wrong, each with its line (YAML) or its
// place in the list (JSON).
Result<Manifest> ParseSpec(const std::string& path, const std::string& text);

}  // namespace ckmap
