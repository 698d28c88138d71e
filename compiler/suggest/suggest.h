// `ckmapc suggest`: a first draft of rules from two manifests. What names and shapes prove is a line. What they leave
// open is a line with a `decide` statement, which says what else would fit; such a draft binds and does not apply.
//
// 1. network.h     names become modules, with forms in which indices are holes: `layers.#.attn.q`
// 2. match.h       which module of the source is which of the target, and how sure that is (align.h: of irregular
//                  networks)
// 3. join.h        what is left over and adds up: three matrices that are one, experts that are stacked
// 4. draft.h       renames and rules, indices folded into captures (lines.h), until the text compiles and binds
// 5. shorten.h     fewer renames that do the same
// 6. packs.h       a pack that binds completely, where the draft leaves something open
// With both checkpoints, values.h says which tensors hold the same elements, and in which order; twins.h says which of
// several that hold the same is meant, where that can be told.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

struct SuggestOptions {
  std::vector<std::string> pack_path = {};          // where `std` and the packs are looked for
  std::string source_name = {}, target_name = {};   // as the draft's comment names them
  bool packs = true;                                // try those, too
  std::map<std::string, std::string> defines = {};  // parameters of packs
  std::string config_json = {}, config_path = {};
  // Both, to settle by their values what shapes leave open. Every tensor is read. Else nullptr.
  const Checkpoint* source = nullptr;
  const Checkpoint* target = nullptr;
  // Of a converter that was run several times: further sources, and what became of each. `source` and `target` are the
  // first.
  std::vector<std::pair<const Checkpoint*, const Checkpoint*>> further = {};
  std::string converter = {};  // its command, for the draft's comment
};

struct Suggestion {
  std::string text;  // formatted; it always compiles, and binds to the two files
  int64_t targets = 0;
  std::vector<std::string> certain, open;  // target tensors that the draft writes, by how sure that is
  size_t decisions = 0;                    // statements `decide` in it
  std::vector<std::string> notes;          // what the draft goes without; its comment says the same
};

// An Error only if a file cannot be read, or for a fault of ours.
Result<Suggestion> Suggest(const Manifest& source, const Manifest& target, const SuggestOptions& options);

}  // namespace ckmap
