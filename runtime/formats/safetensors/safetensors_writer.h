// Writes safetensors in the one layout that every reader takes, MindSpore's strict one included:
// the header's keys in the order of the data, no gaps, spaces up to a multiple of 8, tensors by
// dtype (widest first) and name. The length of the header stands in front of it only once all is
// written, so a torn file never parses.
//
// Format: https://github.com/huggingface/safetensors#format. Shards and their index follow
// transformers: NAME-00001-of-0000N.safetensors, NAME.safetensors.index.json.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/formats/writer.h"

namespace ckmap {

// As CreateCheckpoint. With max_shard_size, `path` is a folder (made if absent; names begin with
// "model") or ends in ".safetensors" (names begin with its stem); where one shard suffices that is
// written as NAME.safetensors, without an index unless options.index is set. With options.crc every file carries the
// `crc_num` that mindspore.save_checkpoint(crc_check=True) would have given it.
Result<std::unique_ptr<CheckpointWriter>> CreateSafetensors(const std::string& path, std::vector<OutputTensor> tensors,
                                                            const WriteOptions& options);

// The tensors are those of the set's files, in their order; a name may occur once in each file.
Result<std::unique_ptr<CheckpointWriter>> CreateSafetensorsSet(const SafetensorsSet& set, const WriteOptions& options);

// With max_shard_size, the file that is written where one shard suffices; the others are named after it.
std::string ShardedName(const std::string& path);

}  // namespace ckmap
