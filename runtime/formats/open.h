// Opens a checkpoint of any format, found by its content; exactly one format must fit.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/selection.h"

namespace ckmap {

// `path` is a file, a folder of shards, or a shard index. Errors name the path.
Result<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& path, const OpenOptions& options = {});

// A checkpoint, or the names and shapes of a spec.
struct CheckpointOrSpec {
  std::unique_ptr<Checkpoint> checkpoint;  // null for a spec
  std::optional<Manifest> spec;
};
Result<CheckpointOrSpec> OpenCheckpointOrSpec(const std::string& path, const OpenOptions& options = {});

// The manifest of anything that has names and shapes: a checkpoint, or a spec (YAML or JSON).
Result<Manifest> ReadManifest(const std::string& path, const OpenOptions& options = {});

// The same for a part of a file, as the options that begin with "--" (source) or "--target-" choose it.
Result<Manifest> ReadSource(const std::string& path, const TargetOptions& options);
Result<Manifest> ReadTarget(const std::string& path, const TargetOptions& options);

}  // namespace ckmap
