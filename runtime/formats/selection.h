// A part of a checkpoint, chosen by names before any rule sees it: what MindSpore's load_checkpoint offers as
// specify_prefix, filter_prefix and choice_func.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// All of it holds at once. A prefix is plain text, as in MindSpore: it may end inside a segment.
struct Selection {
  std::vector<std::string> specify_prefix;  // if any: names that begin with none of them are left out
  std::vector<std::string> filter_prefix;   // names that begin with one of them are left out
  std::vector<std::string> only;            // globs; if any: names that match none are left out
  std::vector<std::string> drop;            // globs; names that match one are left out

  bool empty() const { return specify_prefix.empty() && filter_prefix.empty() && only.empty() && drop.empty(); }
};

// In a glob `*` stands for any text without a dot, `**` for any text, all else for itself.
bool GlobMatches(std::string_view glob, std::string_view name);

// The checkpoint without what is left out, which a warning counts and names. kMismatch if nothing is left or a
// choice names nothing, kUsage for an empty prefix.
Result<std::unique_ptr<Checkpoint>> Select(std::unique_ptr<Checkpoint> checkpoint, const Selection& selection);

// The same for names and shapes alone. A tensor that was tied to one that is left out stands for itself. `begin` is how
// the caller's options begin: "--target-" for --target-only.
Result<Manifest> Select(Manifest manifest, const Selection& selection, const std::string& begin = "--");

// What of a target's file is the target.
struct TargetOptions {
  std::string root = {};  // the dict inside a torch file
  bool skip_unknown_objects = false;
  Selection selection = {};
};

}  // namespace ckmap
