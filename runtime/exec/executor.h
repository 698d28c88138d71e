// Executes a bound plan: moves the bytes, in bounded memory, on all cores, with the same result for
// any number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/writer.h"

namespace ckmap {

class ReadChecks;  // read_checks.h

struct ExecOptions {
  int threads = 0;                         // 0: one per core
  int64_t max_memory = int64_t{64} << 20;  // bytes of buffers over all threads
  bool digest = false;                     // sha256 of each target tensor (TensorOutcome::sha256)
  std::function<void(int64_t done_bytes, int64_t total_bytes)> progress;  // called from one thread at a time
  const std::atomic<bool>* stop = nullptr;                                // becomes true: end with an Error soon
  bool check_all = false;        // also the checksums of storages that are not read
  ReadChecks* checks = nullptr;  // the caller's, who finishes them; null: Execute has its own
};

// The Error of an execution whose stop flag was set.
Error Stopped();

struct TensorOutcome {
  std::string sha256;      // hex, of the row-major little-endian bytes; empty unless asked for
  int64_t overflowed = 0;  // elements out of range (saturated or made infinite)
  int64_t changed = 0;     // elements whose value a cast changed (rounding included)
};

struct ExecResult {
  std::vector<TensorOutcome> tensors;  // one per BoundPlan::tensors
};

// Bytes that Execute will read and write, and its peak of buffer memory; reads nothing.
struct Cost {
  int64_t bytes_read = 0;
  int64_t bytes_written = 0;
  int64_t peak_memory = 0;
  double operations = 0;     // multiplications and additions of computed nodes; a core does about 1e9 a second
  std::string warning = {};  // where these take hours: which tensor, and why; else empty
};
Cost EstimateCost(const BoundPlan& plan, const ExecOptions& options);

// What a writer is created with, so that Execute can fill it: plan.tensors in their order.
std::vector<OutputTensor> OutputTensors(const BoundPlan& plan);

// `writer` was created with OutputTensors(plan); Commit is left to the caller.
Result<ExecResult> Execute(const BoundPlan& plan, const Checkpoint& source, CheckpointWriter& writer,
                           const ExecOptions& options);

}  // namespace ckmap
