// What pack.yaml says of a migration beside its rules: between which networks of which libraries it goes, so that a
// pack can be found from a source.
//
//   migrations:
//     - file: hf2mcore.ckmap
//       source:
//         library: transformers
//         tensors:                        # globs (`*` within a segment, `**` across); `?`: there may be none
//           - model.embed_tokens.weight
//           - lm_head.weight?
//       target:
//         library: mindformers
//         describes: true                 # the rules alone tell the target's names and shapes
//         layers: nn                      # its layers have the names of mindspore.nn; else those of the rules
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

struct PackFacts {
  std::string source_library, target_library;
  std::vector<std::string> source_tensors;  // globs; empty: any names
  bool describes = false;
  bool nn_layers = false;
};

// Why `source` is not the network that the globs describe: "`a.b` is not one of its tensors", or "it has no
// `q_norm.weight`"; "" if it is, or if there are no globs.
std::string WhyNotRecognised(const PackFacts& facts, const Manifest& source);

// The facts of migration `name` in the text of a pack.yaml, whose form `ckmapc` checks. What is not there, or has another
// form, is left at its default.
PackFacts ReadPackFacts(const std::string& yaml, const std::string& name);

}  // namespace ckmap
