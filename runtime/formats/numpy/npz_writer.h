// Writes numpy's .npz such that numpy.load takes it: a stored member NAME.npy for each tensor, its
// elements at a multiple of 64 bytes of the file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/formats/writer.h"

namespace ckmap {

// As CreateCheckpoint. The format has no shards (kUsage for max_shard_size), no MindSpore checksum
// (kUsage for crc) and no place for metadata (a warning). numpy has no bf16 and no 8-bit floats
// (kMismatch).
Result<std::unique_ptr<CheckpointWriter>> CreateNpz(const std::string& path, std::vector<OutputTensor> tensors,
                                                    const WriteOptions& options);

}  // namespace ckmap
