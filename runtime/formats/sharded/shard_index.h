// Checkpoints in several files: an index (JSON) that names the file of each tensor, or a folder whose files
// hold tensors of different names.
//
//     model.safetensors.index.json, pytorch_model.bin.index.json   {"metadata": …, "weight_map": {TENSOR: FILE}}
//     param_name_map.json (MindSpore)                              the same, or just {TENSOR: FILE}
//
// Every tensor must be in the file that the index names, and every tensor of these files in the index.
// `metadata.total_size` is only a hint and ignored. MindSpore's hyper_param.safetensors is in no index and read
// along with param_name_map.json where it lies in the same folder.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// MindSpore's index, and the file that is in no index and read with it.
inline constexpr std::string_view kMindSporeIndex = "param_name_map.json";
inline constexpr std::string_view kMindSporeExtra = "hyper_param.safetensors";

// Whether a file of a folder is taken for weights, by its ending.
bool IsWeightsName(std::string_view name);

struct IndexedTensor {
  std::string name;
  std::string file;  // relative to the folder of the index, '/' between parts
};

// Parses an index. Refused: a key given twice, a file that is no text or that could lead out of the
// folder (absolute, "..", backslashes, control characters), no weight_map.
Result<std::vector<IndexedTensor>> ParseShardIndex(std::string_view json, bool may_be_flat);

// Whether a file of this name may be such an index.
bool MayBeShardIndex(const std::string& path);
// Whether it is: by its name, or JSON with a weight_map.
bool LooksLikeShardIndex(const std::string& path, std::string_view text);

// Opens one file, by content.
using OpenFileFn = std::function<Result<std::unique_ptr<Checkpoint>>(const std::string& path)>;

// The checkpoint of an index file. The folders on the way to a shard must lie inside the folder of
// the index; the shard itself may be a link (as in the cache of the Hugging Face hub).
// `text`: what stands in it.
Result<std::unique_ptr<Checkpoint>> OpenShardIndex(const std::string& index_path, std::string_view text,
                                                   const OpenFileFn& open_file);
Result<std::unique_ptr<Checkpoint>> OpenShardIndex(const std::string& index_path, const OpenFileFn& open_file);

// The checkpoint of a folder: by its one index, or of all its files with the one ending of checkpoints that
// occurs there. kUsage where it is not clear what is meant.
Result<std::unique_ptr<Checkpoint>> OpenShardFolder(const std::string& folder, const OpenFileFn& open_file);

}  // namespace ckmap
