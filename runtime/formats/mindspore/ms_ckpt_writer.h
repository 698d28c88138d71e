// Writes MindSpore's `.ckpt`: protobuf messages `Checkpoint { Value { tag, TensorProto } }` back to
// back, one Value each, as mindspore.save_checkpoint does. A tensor beyond 512 MiB becomes several
// messages that repeat tag, dims and type. Schema: mindspore/ccsrc/utils/checkpoint.proto.
//
// Refused is what MindSpore would write and could not load again: complex and 8-bit float types,
// shape [0] (its loader takes it for a scalar), names beyond 1024 characters, axes beyond 2^31 - 1.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/formats/writer.h"

namespace ckmap {

// As CreateCheckpoint. Tensors lie in the order given. With options.crc the file ends in the trailer
// that mindspore.load_checkpoint(crc_check=True) verifies. The format has no shards and no metadata:
// max_shard_size is kUsage, metadata is left out.
Result<std::unique_ptr<CheckpointWriter>> CreateMindSporeCkpt(const std::string& path,
                                                              std::vector<OutputTensor> tensors,
                                                              const WriteOptions& options);

}  // namespace ckmap
