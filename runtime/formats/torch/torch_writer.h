// Writes the zip format of torch.save (torch 1.6 and later) such that
// torch.load(path, weights_only=True, mmap=True) takes it: a dict of contiguous tensors (or dicts of dicts, as the
// options' nesting says), each with a storage of its own, stored, aligned to 64 bytes, with right CRC-32s. The directory
// comes last, so a torn file never opens.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/formats/writer.h"

namespace ckmap {

// As CreateCheckpoint. The format has no shards (kUsage for max_shard_size), no MindSpore checksum
// (kUsage for crc) and no place for metadata but a receipt.
Result<std::unique_ptr<CheckpointWriter>> CreateTorch(const std::string& path, std::vector<OutputTensor> tensors,
                                                      const WriteOptions& options);

}  // namespace ckmap
