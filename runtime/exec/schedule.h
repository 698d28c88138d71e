// Which work there is: tasks that any thread can do in any order, none of which writes a byte that
// another one writes. Tasks stand in the order of the output files.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/exec/box.h"
#include "runtime/exec/budget.h"
#include "runtime/exec/byte_layout.h"
#include "runtime/formats/writer.h"

namespace ckmap {

// A tensor that is done in more than one task.
struct LargeTensor {
  size_t tensor = 0;  // index into BoundPlan::tensors
  LoweredTensor lowered;
  std::vector<FileExtent> extents;

  // Where byte `at` of the target lies in its file; `at` itself if it has no file.
  int64_t FileOffset(int64_t at) const;
};

// Bytes from `offset` of a file to the next multiple of `unit`, at least 1. The page cache takes large pages for writes
// that begin and end at such multiples: a quarter of the time of a copy.
inline int64_t ToMultiple(int64_t offset, int64_t unit) { return unit - offset % unit; }

// Several small tensors that lie close together in one output file.
struct BatchTask {
  size_t begin = 0;  // range of Schedule::order
  size_t end = 0;
};

// `bytes` of the target that one input gives in the same order, or that are filled.
struct RunTask {
  std::shared_ptr<const LargeTensor> large;
  int32_t input = 0;
  int64_t src = 0;  // in the input's storage
  int64_t dst = 0;
  int64_t bytes = 0;  // of the target
};

// Boxes that together write the stretches dst + Σ ik * outer_k (outer[k].dst), each `run` bytes.
struct RegionTask {
  std::shared_ptr<const LargeTensor> large;
  std::vector<Box> boxes;
  int64_t dst = 0;
  int64_t run = 0;
  std::vector<CopyAxis> outer;  // src is not used
};

struct Task {
  enum class Kind { kBatch, kRun, kRegion } kind = Kind::kBatch;
  BatchTask batch;
  RunTask run;
  RegionTask region;
};

struct Schedule {
  std::vector<size_t> order;  // tensors that are not empty, as they lie in the output
  std::vector<Task> tasks;
};

// Errors are those of LowerTensor, with the tensor's name.
Result<Schedule> MakeSchedule(const BoundPlan& plan, const Checkpoint& source, const CheckpointWriter& writer,
                              const Budget& budget);

}  // namespace ckmap
