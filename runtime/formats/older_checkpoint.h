// What lies where an output goes: files of an older checkpoint that readers would take together with it, or in its
// place.
//
//     x.safetensors    x-00001-of-00003.safetensors …    x.safetensors.index.json        one set, in any format
//
// An output that is a file replaces the set of its name. An output that is a folder replaces every set in it: the files
// of each index, all shards that count, the files that transformers looks for, and those of a checkpoint of MindFormers.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/writer.h"

namespace ckmap {

struct OlderCheckpoint {
  std::vector<std::string> replaced;  // paths, indexes first; all in the output's folder
  std::vector<std::string> left;      // names of other weights in a folder that is the output: they stay
  std::vector<std::string> beside;    // names beside a file that is the output: what describes another checkpoint
  std::string preferred;  // the name of a file beside the output that transformers takes before it; "": none
};

// `path`: the file that will be made; with `whole_folder` its folder is the output. kUsage if readers would take what
// this never removes: folders of ranks or of MindFormers' iterations, a distributed checkpoint of torch, the index of another set that names this
// file.
Result<OlderCheckpoint> FindOlderCheckpoint(const std::string& path, bool whole_folder);

// Has a writer, which has added all of its files, replace what is there; kUsage without `force`. The writer's warnings
// name what goes and what stays.
Result<void> ReplaceOlderCheckpoint(const std::string& path, bool whole_folder, bool force, CheckpointWriter& writer);

}  // namespace ckmap
