// MindFormers' "Checkpoint 2.0": a folder `iteration_NNNNNNNN` of safetensors files, one or more for each rank, with a
// metadata.json that says how the tensors are cut; or the folder above it, whose latest_checkpointed_iteration.txt
// names the iteration. With one rank there is no metadata.json, and every file holds whole tensors.
//
// Every joined tensor is proved whole: its slices tile it, each is in the file that metadata.json names, with the dtype
// and shape that it says. Of copies of a slice the first is read; all are compared by dtype and shape. Tensors that
// metadata.json does not describe are left out with a warning, as MindFormers does. The values of common.json are
// entries that are not tensors.
//
// Source of the format: mindformers 2.1.0, checkpoint/checkpoint.py, checkpoint/utils.py.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Of how many files a file of tensors says that it is one: [PREFIX-]model-0000000-0000004.safetensors, opt likewise. 0
// for every other name.
int64_t MfTensorFileTotal(std::string_view name);

// What makes a folder the one above the iterations: its record of the newest, or the folder of one.
bool IsMfRootEntry(std::string_view name);

// Whether the folder is one of the two, by the names in it.
bool LooksLikeMfCheckpoint(const std::string& folder);

// `open_file` opens one safetensors file. Errors begin with a path.
Result<std::unique_ptr<Checkpoint>> OpenMfCheckpoint(
    const std::string& folder,
    const std::function<Result<std::unique_ptr<Checkpoint>>(const std::string& path)>& open_file);

}  // namespace ckmap
