#include "runtime/exec/executor.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/parallel.h"
#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/exec/read_checks.h"
#include "runtime/exec/worker.h"

namespace ckmap {
namespace {

int ThreadCount(const ExecOptions& options) {
  return options.threads > 0 ? options.threads : DefaultThreads();
}

// The storages whose checksums must be right.
std::vector<uint32_t> StoragesToCheck(const BoundPlan& plan, const Checkpoint& source, bool all) {
  std::set<uint32_t> wanted;
  for (const BoundTensor& tensor : plan.tensors) {
    ForEachSource(tensor, [&](size_t input) { wanted.insert(source.layout(input).storage); });
  }
  for (size_t i = 0; all && i < source.manifest().size(); ++i) {
    if (source.manifest()[i].unreadable.empty()) wanted.insert(source.layout(i).storage);
  }
  return {wanted.begin(), wanted.end()};
}

// What an execution writes; a writer may want less than the plan has.
int64_t BytesWanted(const BoundPlan& plan, const CheckpointWriter& writer) {
  int64_t bytes = 0;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    if (!writer.extents(i).empty()) bytes += NumBytes(plan.tensors[i].shape, plan.tensors[i].dtype).value_or(0);
  }
  return bytes;
}

// The sha256 of a target tensor, read back from the output.
Result<std::string> DigestTarget(const CheckpointWriter& writer, size_t tensor) {
  constexpr int64_t kChunk = int64_t{256} << 10;
  std::vector<std::byte> buffer(static_cast<size_t>(kChunk));
  Sha256 sha;
  for (const FileExtent& extent : writer.extents(tensor)) {
    for (int64_t done = 0; done < extent.length;) {
      const auto chunk = std::span(buffer).first(static_cast<size_t>(std::min(kChunk, extent.length - done)));
      if (Result<void> read = ReadAt(extent.fd, extent.offset + done, chunk); !read) {
        return std::move(read).error().Context(writer.path(tensor));
      }
      sha.Update(chunk);
      done += static_cast<int64_t>(chunk.size());
    }
  }
  return sha.HexDigest();
}

Result<void> DigestTargets(const CheckpointWriter& writer, int threads,
                           std::vector<TensorOutcome>& outcomes) {
  return ForEachInParallel(threads, outcomes.size(), [&]() -> ItemBody {
    return [&](size_t i) -> Result<void> {
      CKMAP_ASSIGN_OR_RETURN(outcomes[i].sha256, DigestTarget(writer, i));
      return {};
    };
  });
}

int64_t BytesRead(const PiecedTensor& tensor, const Manifest& source) {
  int64_t bytes = 0;
  for (const Piece& piece : tensor.value.pieces) {
    if (piece.input == kFillInput) continue;
    const BoundInput& input = tensor.inputs[static_cast<size_t>(piece.input)];
    if (input.node != nullptr) continue;
    int64_t read = 1;  // an axis that repeats elements reads them once
    for (const PieceAxis& axis : piece.axes) {
      if (axis.src_stride != 0 || axis.size == 0) read *= axis.size;
    }
    bytes += (read * DTypeBits(source[input.source].dtype) + 7) / 8;
  }
  return bytes;
}

}  // namespace

Cost EstimateCost(const BoundPlan& plan, const ExecOptions& options) {
  Cost cost;
  int depth = 0;
  for (const BoundTensor& tensor : plan.tensors) {
    cost.bytes_written += NumBytes(tensor.shape, tensor.dtype).value_or(0);
    // What computed nodes read is counted once for each tensor, though tiles may read parts of it again.
    ForEachPieced(tensor, [&](const PiecedTensor& part) { cost.bytes_read += BytesRead(part, plan.source); });
    depth = std::max(depth, ComputedDepth(tensor));
  }
  const Budget budget = Budget::Make(ThreadCount(options), options.max_memory);
  cost.peak_memory = budget.threads * (budget.total() + depth * kComputedMemory);
  return cost;
}

std::vector<OutputTensor> OutputTensors(const BoundPlan& plan) {
  std::vector<OutputTensor> outputs;
  outputs.reserve(plan.tensors.size());
  for (const BoundTensor& tensor : plan.tensors) outputs.push_back({.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape});
  return outputs;
}

Result<ExecResult> Execute(const BoundPlan& plan, const Checkpoint& source,
                           CheckpointWriter& writer, const ExecOptions& options) {
  const int threads = ThreadCount(options);
  const Budget budget = Budget::Make(threads, options.max_memory);
  std::optional<ReadChecks> own;
  if (options.checks == nullptr) own.emplace(source, StoragesToCheck(plan, source, options.check_all));
  ReadChecks& checks = own ? *own : *options.checks;
  CKMAP_ASSIGN_OR_RETURN(const Schedule schedule, MakeSchedule(plan, source, writer, budget));
  Progress progress(BytesWanted(plan, writer), options);
  ExecutionContext context{plan, source, writer, schedule, budget, progress, checks, {}, {}};
  context.outcomes.resize(plan.tensors.size());
  const Result<void> done = ForEachInParallel(budget.threads, schedule.tasks.size(), [&]() -> ItemBody {
    return [&, worker = std::make_shared<Worker>(context)](size_t i) { return worker->Run(schedule.tasks[i]); };
  });
  // A value that is refused may be one of a damaged source: then that is what must be reported.
  if (own && (done || done.error().code() == ErrorCode::kMismatch)) CKMAP_RETURN_IF_ERROR(checks.Finish(threads));
  CKMAP_RETURN_IF_ERROR(done);
  if (options.digest) {
    CKMAP_RETURN_IF_ERROR(DigestTargets(writer, threads, context.outcomes));
  }
  CKMAP_RETURN_IF_ERROR(source.CheckUnchanged());
  progress.Finish();
  return ExecResult{std::move(context.outcomes)};
}

}  // namespace ckmap
