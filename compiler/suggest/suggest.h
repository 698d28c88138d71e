// `ckmapc suggest`: a first draft of rules from two manifests. What names and shapes prove is a line; what they leave
// open is a line under `# TODO decide:` with what else would fit.
//
// 1. network.h     names become modules, with forms in which indices are holes: `layers.#.attn.q`
// 2. match.h       which module of the source is which of the target, and how sure that is
// 3. join.h        what is left over and adds up: three matrices that are one, experts that are stacked
// 4. write.h       renames and rules, indices folded into captures
// 5. suggest.cc    compiles and binds the draft, and writes a rule by name for what the renames did not reach
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

struct SuggestOptions {
  std::vector<std::string> pack_path;  // where `std` is looked for
  std::string source_name, target_name;  // as the draft's comment names them
};

struct Suggestion {
  std::string text;  // formatted; it always compiles
  int64_t targets = 0;
  std::vector<std::string> certain, open;  // target tensors that the draft writes, by how sure that is
};

// An Error only if the draft does not compile, which is our bug.
Result<Suggestion> Suggest(const Manifest& source, const Manifest& target, const SuggestOptions& options);

}  // namespace ckmap
