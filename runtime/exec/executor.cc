#include "runtime/exec/executor.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/exec/worker.h"

namespace ckmap {
namespace {

int ThreadCount(const ExecOptions& options) {
  if (options.threads > 0) return options.threads;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

// Calls body(thread, item) for each item below `count` on several threads. Items are taken in
// order, and the error of the first item that has one is returned, so it does not depend on timing.
template <typename MakeBody>
Result<void> ForEachInParallel(int threads, size_t count, const MakeBody& make_body) {
  std::atomic<size_t> next{0};
  std::atomic<size_t> failed{std::numeric_limits<size_t>::max()};
  std::mutex mutex;
  Result<void> first_error;
  const auto fail = [&](size_t item, Error error) {
    const std::lock_guard lock(mutex);
    if (item >= failed.load()) return;
    failed.store(item);
    first_error = std::move(error);
  };
  const auto work = [&] {
    size_t item = 0;
    try {
      const auto body = make_body();
      for (;;) {
        item = next.fetch_add(1);
        if (item >= count || item > failed.load()) return;
        if (Result<void> done = (*body)(item); !done) fail(item, std::move(done).error());
      }
    } catch (const std::bad_alloc&) {
      fail(item, Error(ErrorCode::kLimit, "out of memory"));
    }
  };
  const auto workers = static_cast<int>(std::min<size_t>(static_cast<size_t>(threads), count));
  std::vector<std::thread> pool;
  for (int i = 1; i < workers; ++i) pool.emplace_back(work);
  if (workers > 0) work();
  for (std::thread& thread : pool) thread.join();
  return first_error;
}

// The format's own checksums of every storage that is read.
Result<void> VerifySource(const BoundPlan& plan, const Checkpoint& source, int threads) {
  std::set<uint32_t> wanted;
  for (const BoundTensor& tensor : plan.tensors) {
    for (const BoundInput& input : tensor.inputs) wanted.insert(source.layout(input.source).storage);
  }
  const std::vector<uint32_t> storages(wanted.begin(), wanted.end());
  return ForEachInParallel(threads, storages.size(), [&] {
    const auto body = [&](size_t i) { return source.VerifyStorage(storages[i]); };
    return std::make_unique<decltype(body)>(body);
  });
}

// The sha256 of a target tensor, read back from the output.
Result<std::string> DigestTarget(const CheckpointWriter& writer, size_t tensor) {
  constexpr int64_t kChunk = int64_t{256} << 10;
  std::vector<std::byte> buffer(static_cast<size_t>(kChunk));
  Sha256 sha;
  for (const FileExtent& extent : writer.extents(tensor)) {
    for (int64_t done = 0; done < extent.length;) {
      const auto want = static_cast<size_t>(std::min(kChunk, extent.length - done));
      const ssize_t count = ::pread(extent.fd, buffer.data(), want, extent.offset + done);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return IoError("cannot read back", count < 0 ? errno : EIO).Context(writer.path(tensor));
      sha.Update(std::span(buffer).first(static_cast<size_t>(count)));
      done += count;
    }
  }
  return sha.HexDigest();
}

Result<void> DigestTargets(const CheckpointWriter& writer, int threads,
                           std::vector<TensorOutcome>& outcomes) {
  return ForEachInParallel(threads, outcomes.size(), [&] {
    const auto body = [&](size_t i) -> Result<void> {
      CKMAP_ASSIGN_OR_RETURN(outcomes[i].sha256, DigestTarget(writer, i));
      return {};
    };
    return std::make_unique<decltype(body)>(body);
  });
}

}  // namespace

Cost EstimateCost(const BoundPlan& plan, const ExecOptions& options) {
  Cost cost;
  for (const BoundTensor& tensor : plan.tensors) {
    cost.bytes_written += NumBytes(tensor.shape, tensor.dtype).value_or(0);
    for (const Piece& piece : tensor.value.pieces) {
      if (piece.input == kFillInput) continue;
      int64_t read = 1;  // an axis that repeats elements reads them once
      for (const PieceAxis& axis : piece.axes) {
        if (axis.src_stride != 0 || axis.size == 0) read *= axis.size;
      }
      const DType dtype = plan.source[tensor.inputs[static_cast<size_t>(piece.input)].source].dtype;
      cost.bytes_read += (read * DTypeBits(dtype) + 7) / 8;
    }
  }
  const Budget budget = Budget::Make(ThreadCount(options), options.max_memory);
  cost.peak_memory = budget.threads * budget.total();
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
  CKMAP_RETURN_IF_ERROR(ForEachInParallel(budget.threads, schedule.tasks.size(), [&] {
    struct Body {
      explicit Body(ExecutionContext& shared, const Schedule& all) : worker(shared), tasks(all.tasks) {}
      Result<void> operator()(size_t i) { return worker.Run(tasks[i]); }
      Worker worker;
      const std::vector<Task>& tasks;
    };
    return std::make_unique<Body>(context, schedule);
  }));
  if (options.digest) {
    CKMAP_RETURN_IF_ERROR(DigestTargets(writer, threads, context.outcomes));
  }
  CKMAP_RETURN_IF_ERROR(source.CheckUnchanged());
  progress.Finish();
  return ExecResult{std::move(context.outcomes)};
}

}  // namespace ckmap
