// Several checkpoints as one: the tensors of each but the first have its name in front, "adapter:layers.0.lora_A".
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// "NAME:tensor".
std::string NameInSpace(const std::string& space, const std::string& tensor);

struct NamedCheckpoint {
  std::string name;  // "": its tensors keep their names
  std::shared_ptr<const Checkpoint> checkpoint;
};

// Metadata and entries that are not tensors are those of the first one; `warnings` says what is left behind of the
// others. kMalformed if two tensors have one name.
Result<std::unique_ptr<Checkpoint>> JoinByName(std::vector<NamedCheckpoint> parts);

}  // namespace ckmap
