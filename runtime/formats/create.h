// Every format that can be written: the table of writers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/formats/writer.h"

namespace ckmap {

// "ckpt, safetensors, …": the names that ParseOutputFormat takes, for messages.
std::string OutputFormatNames();

// `path`: the file to make, or, with shards, the folder (made if absent) or the first file's
// name. Refuses an existing path without options.force, names and dtypes that the format (or MindSpore's
// reader of it) cannot hold, all of them at once.
Result<std::unique_ptr<CheckpointWriter>> CreateCheckpoint(const std::string& path, OutputFormat format,
                                                           std::vector<OutputTensor> tensors,
                                                           const WriteOptions& options);

// ".ckpt" and so on; nullopt for an ending that names no format that can be written.
std::optional<OutputFormat> OutputFormatFromPath(std::string_view path);
std::optional<OutputFormat> ParseOutputFormat(std::string_view name);  // "ckpt", "npz", …

}  // namespace ckmap
