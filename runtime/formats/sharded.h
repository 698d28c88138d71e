// Several checkpoints as one: the shards of an index, or the files of a folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// What a shard index says: Hugging Face's `*.index.json` ({"metadata": …, "weight_map": {NAME: FILE}}) or
// MindSpore's `param_name_map.json` (the same, or the map alone).
struct ShardIndex {
  std::vector<std::pair<std::string, std::string>> files;  // tensor name → file name in the folder
  std::vector<std::string> shards;                         // each once, in order of appearance
};

// kMalformed for what is no index, and for shards that do not lie in the index' own folder: names with
// a separator, "..", the index itself. `path` is for messages.
Result<ShardIndex> ParseShardIndex(const std::string& path, const std::string& json);

// Joins open shards; `names[k]` is what messages call shard k. The tensors keep their order. kMalformed
// if two shards hold one name.
Result<std::unique_ptr<Checkpoint>> JoinShards(std::vector<std::unique_ptr<Checkpoint>> shards,
                                               const std::vector<std::string>& names);

// Whether each tensor lies in the shard that the index names, and the shards hold no others.
Result<void> CheckIndex(const ShardIndex& index, const std::vector<std::unique_ptr<Checkpoint>>& shards,
                        const std::string& path);

}  // namespace ckmap
