// One thread's part of an execution: its memory, and how each kind of task is done with it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/exec/computed/evaluators.h"
#include "runtime/exec/executor.h"
#include "runtime/exec/gather.h"
#include "runtime/exec/schedule.h"

namespace ckmap {

// What all threads of an execution share. Thread-safe.
class Progress {
 public:
  Progress(int64_t total, const ExecOptions& options) : total_(total), options_(options) {}

  // An Error once the caller's stop token is set.
  Result<void> Advance(int64_t bytes);
  Result<void> CheckStop() const;
  const std::atomic<bool>* stop() const { return options_.stop; }
  void Finish();

 private:
  int64_t total_;
  const ExecOptions& options_;
  std::atomic<int64_t> done_{0};
  std::mutex mutex_;  // held while the callback runs
  int64_t reported_ = 0;
};

struct ExecutionContext {
  const BoundPlan& plan;
  const Checkpoint& source;
  CheckpointWriter& writer;
  const Schedule& schedule;
  const Budget& budget;
  Progress& progress;
  ReadChecks& checks;
  std::mutex outcomes_mutex;
  std::vector<TensorOutcome> outcomes;
};

class Worker {
 public:
  explicit Worker(ExecutionContext& context);

  Result<void> Run(const Task& task);

 private:
  // A tensor of a batch.
  struct BatchItem {
    size_t tensor = 0;
    LoweredTensor lowered;
    int64_t at = 0;  // in the strip
  };
  // Source bytes that one box of a batch needs, where they lie in a file.
  struct Request {
    int fd = -1;
    int64_t offset = 0;
    int64_t length = 0;
    size_t item = 0;
    size_t box = 0;
  };

  Result<void> RunBatch(const BatchTask& task);
  Result<void> WriteBatch(const std::vector<BatchItem>& items);
  Result<void> GatherBatch(std::vector<BatchItem>& items);
  Result<void> ServeRequests(std::span<const Request> requests, std::vector<BatchItem>& items);
  bool FindInFile(const Box& box, const LoweredInput& input, Request& request) const;

  Result<void> RunRun(const RunTask& task);
  Result<void> RunFill(const RunTask& task);

  Result<void> RunRegion(const RegionTask& task);
  Result<void> StageBoxes(const RegionTask& task, std::vector<Box>& boxes);
  Result<void> WriteRegion(const RegionTask& task, int64_t begin, int64_t end);

  Result<void> WriteTarget(const LargeTensor& large, int64_t offset, std::span<const std::byte> data);
  // Adds the counts since the last call to the tensor's outcome; an Error if a cast refused a value.
  Result<void> Account(size_t tensor);

  ExecutionContext& context_;
  Evaluators evaluators_;
  Gatherer gatherer_;
};

}  // namespace ckmap
