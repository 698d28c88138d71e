// Why a tensor is as it is: which rule makes or uses it, through which captures and pieces; or why each rule that
// comes near does not apply.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/bind/bind.h"

namespace ckmap {

struct StoryEntry {
  std::string what;   // "made by", "goes to `x`", "dropped by", "kept", "matches", "does not apply"
  std::string place;  // "torch2ms.ckmap:12"; "same name" where no statement is needed
  std::string text;   // of the rule
  std::vector<std::pair<std::string, std::string>> captures;
  std::vector<std::string> sources;  // described
  std::vector<std::string> ops;      // with their arguments as they were bound
  std::vector<std::string> pieces;
  std::vector<std::string> why;  // why it does not apply, or what is wrong
};

struct NameStory {
  bool target = false;  // the name as one of the target; else of the source
  std::string tensor;   // "`fc.weight` (f32 [2, 3])"
  std::vector<StoryEntry> entries;
  std::vector<StoryEntry> near;  // nearest first
};

struct StoryOptions {
  std::optional<Manifest> source, target;  // both or none
  BindOptions bind;
};

// Without manifests: what the plan's patterns say of the name alone. With them: one story for each side that has
// the name, or, if none has it, one for each side as if it were there.
Result<std::vector<NameStory>> TellStories(const Plan& plan, const std::string& name, const StoryOptions& options);

}  // namespace ckmap
