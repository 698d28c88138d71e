// Several checkpoints as one.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

struct Shard {
  std::string file;  // as it is named in messages
  std::unique_ptr<Checkpoint> checkpoint;
};

// Tensors in the order of the shards. Metadata that all shards agree on are kept. kMalformed, naming them all,
// if shards hold tensors of one name.
Result<std::unique_ptr<Checkpoint>> JoinShards(std::vector<Shard> shards);

}  // namespace ckmap
