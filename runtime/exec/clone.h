// Bytes that do not change are shared with the source where the file system can do so (FICLONERANGE: btrfs, xfs and
// others): no byte is read or written, and the disk keeps one copy until one of the two files changes.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/exec/schedule.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/writer.h"

namespace ckmap {

// Tells the writer, in OutputTensor::copied_from, where in a file of the source the bytes of a tensor lie that is a copy
// of one run of a file. `outputs` is a list of `plan.tensors` in their order.
void FindCopies(const BoundPlan& plan, const Checkpoint& source, std::vector<OutputTensor>& outputs);

struct ClonedBytes {
  size_t tensor = 0;  // index into BoundPlan::tensors
  int64_t bytes = 0;
};

// Clones what the schedule would copy, and takes it out of the schedule. What cannot be cloned stays in: bytes that the
// file system does not share, that do not lie at the same place of a block, or whose checksum must be compared.
std::vector<ClonedBytes> CloneRuns(const Checkpoint& source, Schedule& schedule);

}  // namespace ckmap
