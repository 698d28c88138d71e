// Writes MindFormers' "Checkpoint 2.0" (mf_checkpoint.h says what that is): the folder of an iteration, with the files
// of one process or of all ranks of a mesh.
//
// metadata.json gets its name before the files and common.json last, and the one without the others is refused by every
// reader: a folder that is complete in part is never read as whole. Names and values of the networks' optimizers
// (adam_m.NAME, global_step, …) go to files of their own, as MindFormers writes them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/writer.h"

namespace ckmap {

// Files of safetensors are another room's: it gives a writer whose tensors are those of the set's files, in their order.
using CreateSafetensorsSetFn =
    std::function<Result<std::unique_ptr<CheckpointWriter>>(const SafetensorsSet&, const WriteOptions&)>;

// As CreateCheckpoint: `path` is the folder; options.mesh and the tensors' cuts say what each rank holds, and
// options.texts may hold values of common.json, as JSON.
Result<std::unique_ptr<CheckpointWriter>> CreateMfCheckpoint(const std::string& path, std::vector<OutputTensor> tensors,
                                                             const WriteOptions& options,
                                                             const CreateSafetensorsSetFn& create_files);

// A file of tensors in the folder that is written, as an example of them.
std::string MfFileIn(const std::string& folder);

// The keys of common.json that MindFormers 2.1.0 knows; it refuses others.
bool IsMfCommonKey(std::string_view key);

// Python's repr of (name, (number,)). Empty for a name with characters of which it is not sure whether Python escapes
// them.
std::string MfStorageKey(std::string_view name, int64_t number);

}  // namespace ckmap
