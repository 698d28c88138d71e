#include "runtime/exec/executor.h"

#include <algorithm>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/parallel.h"
#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/exec/worker.h"

namespace ckmap {
namespace {

int ThreadCount(const ExecOptions& options) {
  return options.threads > 0 ? options.threads : DefaultThreads();
}

// The format's own checksums of every storage that is read.
Result<void> VerifySource(const BoundPlan& plan, const Checkpoint& source, int threads) {
  std::set<uint32_t> wanted;
  for (const BoundTensor& tensor : plan.tensors) {
    ForEachSource(tensor, [&](size_t input) { wanted.insert(source.layout(input).storage); });
  }
  const std::vector<uint32_t> storages(wanted.begin(), wanted.end());
  return ForEachInParallel(threads, storages.size(), [&]() -> ItemBody {
    return [&](size_t i) { return source.VerifyStorage(storages[i]); };
  });
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

Result<ExecResult> Execute(const BoundPlan& plan, const Checkpoint& source,
                           CheckpointWriter& writer, const ExecOptions& options) {
  const int threads = ThreadCount(options);
  const Budget budget = Budget::Make(threads, options.max_memory);
  CKMAP_RETURN_IF_ERROR(VerifySource(plan, source, threads));
  CKMAP_ASSIGN_OR_RETURN(const Schedule schedule, MakeSchedule(plan, source, writer, budget));
  Progress progress(EstimateCost(plan, options).bytes_written, options);
  ExecutionContext context{plan, source, writer, schedule, budget, progress, {}, {}};
  context.outcomes.resize(plan.tensors.size());
  CKMAP_RETURN_IF_ERROR(ForEachInParallel(budget.threads, schedule.tasks.size(), [&]() -> ItemBody {
    return [&, worker = std::make_shared<Worker>(context)](size_t i) { return worker->Run(schedule.tasks[i]); };
  }));
  if (options.digest) {
    CKMAP_RETURN_IF_ERROR(DigestTargets(writer, threads, context.outcomes));
  }
  CKMAP_RETURN_IF_ERROR(source.CheckUnchanged());
  progress.Finish();
  return ExecResult{std::move(context.outcomes)};
}

}  // namespace ckmap
