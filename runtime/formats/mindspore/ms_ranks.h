// The folder of a parallel run of MindSpore as one checkpoint: `rank_0/` … `rank_N/`, each with one file, and the
// strategy file that says how the parameters are cut. Every merged tensor is proved whole: its slices tile it.
//
// A slice that several ranks hold is taken from the first. Ranks may lack what others hold where every slice is in one
// rank alone (remove_redundancy). A parameter that the strategy does not name (a step counter) must be in all ranks,
// with the same bytes, up to 1 MiB; a warning tells of it.
// Refused with the reason: other numbers of ranks than the layouts say, axes that are cut over several axes of the
// devices, parts of several sizes, several files in a rank's folder, no strategy file, stages of a pipeline.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Whether the folder has a folder `rank_0`.
bool LooksLikeMsRanks(const std::string& folder);

using OpenRankFn = std::function<Result<std::unique_ptr<Checkpoint>>(const std::string& path)>;

// `strategy`: the strategy file; "": the one in the folder. Errors begin with a path.
Result<std::unique_ptr<Checkpoint>> OpenMsRanks(const std::string& folder, const std::string& strategy,
                                                const OpenRankFn& open_rank);

}  // namespace ckmap
