// Writes GGUF version 3: alignment 32, metadata as text values, tensors in their order.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/formats/writer.h"

namespace ckmap {

// As CreateCheckpoint. The format has no shards here (kUsage for max_shard_size) and no checksum
// (kUsage for crc). ggml has f32 f16 bf16 f64 i8 i16 i32 i64 and up to four axes (kMismatch for others).
// Names that llama.cpp would not take (above 63 bytes) and empty tensors are warnings.
Result<std::unique_ptr<CheckpointWriter>> CreateGguf(const std::string& path, std::vector<OutputTensor> tensors,
                                                     const WriteOptions& options);

}  // namespace ckmap
