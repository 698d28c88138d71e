#include "runtime/exec/worker.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/exec/kernels/cast.h"

namespace ckmap {
namespace {

constexpr int64_t kChunk = int64_t{1} << 20;     // of a copy; fits the second-level cache
constexpr int64_t kAligned = int64_t{64} << 10;  // where the strips of a region end in the file

}  // namespace

Error Stopped() { return {ErrorCode::kIo, "stopped before it was complete"}; }

Result<void> Progress::CheckStop() const {
  if (options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed)) return Stopped();
  return {};
}

Result<void> Progress::Advance(int64_t bytes) {
  const int64_t done = done_.fetch_add(bytes) + bytes;
  CKMAP_RETURN_IF_ERROR(CheckStop());
  if (!options_.progress || !mutex_.try_lock()) return {};
  if (done - reported_ >= std::max(total_ / 1000, int64_t{1} << 20)) {
    reported_ = done;
    options_.progress(done, total_);
  }
  mutex_.unlock();
  return {};
}

void Progress::Finish() {
  if (options_.progress) options_.progress(total_, total_);
}

Worker::Worker(ExecutionContext& context)
    : context_(context),
      evaluators_(context.source, &context.checks, context.progress.stop()),
      gatherer_(context.source, context.budget, evaluators_, 0) {}

Result<void> Worker::Run(const Task& task) {
  if (!gatherer_.ok()) return Error(ErrorCode::kLimit, "out of memory");
  switch (task.kind) {
    case Task::Kind::kBatch:
      return RunBatch(task.batch);
    case Task::Kind::kRun:
      return RunRun(task.run);
    case Task::Kind::kRegion:
      return RunRegion(task.region);
  }
  return {};
}

Result<void> Worker::RunRun(const RunTask& task) {
  if (task.input == kFillInput) return RunFill(task);
  const LargeTensor& large = *task.large;
  const LoweredInput& input = large.lowered.inputs[static_cast<size_t>(task.input)];
  evaluators_.set_target(context_.plan.tensors[large.tensor].name);
  const int64_t element = large.lowered.element;
  const int64_t count = task.bytes / element;
  const int64_t room = std::min({kChunk, context_.budget.strip, context_.budget.staging});
  const int64_t step = std::max<int64_t>(1, room / std::max(element, input.element));
  const bool plain = input.chain.trivial();
  std::byte* strip = gatherer_.strip();
  for (int64_t done = 0, n = 0; done < count; done += n) {
    const int64_t to_end = ToMultiple(large.FileOffset(task.dst + done * element), step * element) / element;
    n = std::min(to_end > 0 ? to_end : step, count - done);
    std::byte* read_to = plain ? strip : gatherer_.staging();
    CKMAP_RETURN_IF_ERROR(
        gatherer_.ReadSource(input, task.src + done * input.element, Bytes(read_to, n * input.element)));
    const int64_t at = task.dst + done * element;
    if (!plain) gatherer_.Convert(input, read_to, strip, n, at / element);
    CKMAP_RETURN_IF_ERROR(WriteTarget(large, at, Bytes(strip, n * element)));
  }
  CKMAP_RETURN_IF_ERROR(Account(large.tensor));
  return context_.writer.Completed(large.tensor, task.bytes);
}

Result<void> Worker::RunFill(const RunTask& task) {
  const LargeTensor& large = *task.large;
  const std::vector<std::byte>& fill = large.lowered.fill;
  const int64_t element = large.lowered.element;
  const int64_t step = std::min(kChunk, context_.budget.strip) / element * element;
  const CopyAxis axis{std::min(step, task.bytes) / element, 0, element};
  StridedCopy(fill.data(), gatherer_.strip(), std::span(&axis, 1), element);
  for (int64_t done = 0; done < task.bytes; done += step) {
    CKMAP_RETURN_IF_ERROR(
        WriteTarget(large, task.dst + done, Bytes(gatherer_.strip(), std::min(step, task.bytes - done))));
  }
  return context_.writer.Completed(large.tensor, task.bytes);
}

// Brings the source bytes of all boxes into the staging buffer, if they fit together; the boxes' src
// become offsets there. Otherwise `boxes` is emptied.
Result<void> Worker::StageBoxes(const RegionTask& task, std::vector<Box>& boxes) {
  const LoweredTensor& lowered = task.large->lowered;
  std::vector<Staging> stagings(boxes.size());
  int64_t used = 0;
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (boxes[i].input == kFillInput) continue;
    const LoweredInput& input = lowered.inputs[static_cast<size_t>(boxes[i].input)];
    stagings[i] = PlanStaging(boxes[i], input.element, input.max_gap(), context_.budget.staging);
    if (stagings[i].bytes > context_.budget.staging - used) {
      boxes.clear();
      return {};
    }
    used += stagings[i].bytes;
  }
  used = 0;
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (boxes[i].input == kFillInput) continue;
    const LoweredInput& input = lowered.inputs[static_cast<size_t>(boxes[i].input)];
    CKMAP_RETURN_IF_ERROR(gatherer_.ReadStaged(stagings[i], input, gatherer_.staging() + used));
    boxes[i].src = used + stagings[i].start;
    boxes[i].axes = std::move(stagings[i].axes);
    used += stagings[i].bytes;
  }
  return {};
}

Result<void> Worker::RunRegion(const RegionTask& task) {
  const LargeTensor& large = *task.large;
  const int64_t element = large.lowered.element;
  evaluators_.set_target(context_.plan.tensors[large.tensor].name);
  std::vector<Box> boxes = task.boxes;
  CKMAP_RETURN_IF_ERROR(StageBoxes(task, boxes));
  const bool staged = !boxes.empty();
  if (!staged) boxes = task.boxes;
  int64_t total = task.run;
  for (const CopyAxis& axis : task.outer) total *= axis.size;
  // A region of separate stretches is one box. It is made as if they stood side by side from 0 on.
  const int64_t first = task.outer.empty() ? task.dst : 0;
  int64_t grain = task.outer.empty() ? element : std::min(task.run, context_.budget.strip);
  for (Box& box : boxes) {
    if (!task.outer.empty()) {
      box.dst = 0;
      int64_t packed = element;
      for (size_t k = box.axes.size(); k-- > 0; packed *= box.axes[k].size) box.axes[k].dst = packed;
    }
    for (const CopyAxis& axis : box.axes) {
      if (axis.dst <= context_.budget.strip) grain = std::max(grain, axis.dst);
    }
  }
  grain = grain / element * element;
  // One stretch is written up to a multiple of kAligned in the file; the strip keeps the rest for the next write.
  const bool aligned = task.outer.empty() && context_.budget.strip - kAligned >= std::max(kChunk, grain);
  const int64_t room = context_.budget.strip - (aligned ? kAligned : 0);
  const int64_t strip = std::clamp(std::max(kChunk, 16 * grain), grain, room) / grain * grain;
  std::vector<Box> parts;
  int64_t kept = first;  // where the strip begins
  for (int64_t done = 0; done < total; done += strip) {
    const int64_t begin = first + done;
    const int64_t end = first + std::min(total, done + strip);
    parts.clear();
    for (const Box& box : boxes) CutToRange(box, begin, end, element, parts);
    for (const Box& part : parts) {
      if (staged) {
        gatherer_.MoveElements(part, large.lowered, gatherer_.staging(), gatherer_.strip(), kept);
      } else {
        CKMAP_RETURN_IF_ERROR(gatherer_.MoveBox(part, large.lowered, gatherer_.strip(), kept));
      }
    }
    const bool last = done + strip >= total;
    const int64_t rest = aligned && !last ? large.FileOffset(end) % kAligned : 0;
    const int64_t stop = std::max(kept, end - rest);
    CKMAP_RETURN_IF_ERROR(WriteRegion(task, kept, stop));
    std::memmove(gatherer_.strip(), gatherer_.strip() + (stop - kept), static_cast<size_t>(end - stop));
    kept = stop;
  }
  if (int64_t& refused = gatherer_.refused_index(); refused >= 0 && !task.outer.empty()) {
    int64_t stretch = refused * element / task.run;
    int64_t at = task.dst + refused * element % task.run;
    for (size_t k = task.outer.size(); k-- > 0;) {
      at += stretch % task.outer[k].size * task.outer[k].dst;
      stretch /= task.outer[k].size;
    }
    refused = at / element;
  }
  CKMAP_RETURN_IF_ERROR(Account(large.tensor));
  return context_.writer.Completed(large.tensor, total);
}

// Writes the strip, which holds bytes [begin, end) of the region as RunRegion counts them.
Result<void> Worker::WriteRegion(const RegionTask& task, int64_t begin, int64_t end) {
  if (task.outer.empty()) return WriteTarget(*task.large, begin, Bytes(gatherer_.strip(), end - begin));
  for (int64_t at = begin; at < end;) {
    const int64_t within = at % task.run;
    const int64_t count = std::min(task.run - within, end - at);
    int64_t stretch = at / task.run;
    int64_t dst = task.dst + within;
    for (size_t k = task.outer.size(); k-- > 0;) {
      dst += stretch % task.outer[k].size * task.outer[k].dst;
      stretch /= task.outer[k].size;
    }
    CKMAP_RETURN_IF_ERROR(WriteTarget(*task.large, dst, Bytes(gatherer_.strip() + (at - begin), count)));
    at += count;
  }
  return {};
}

Result<void> Worker::WriteTarget(const LargeTensor& large, int64_t offset, std::span<const std::byte> data) {
  const auto size = static_cast<int64_t>(data.size());
  if (large.extents[0].fd < 0) {
    CKMAP_RETURN_IF_ERROR(context_.writer.Write(large.tensor, offset, data));
    return context_.progress.Advance(size);
  }
  int64_t begin = 0;
  for (const FileExtent& extent : large.extents) {
    const int64_t end = begin + extent.length;
    if (offset < end && !data.empty()) {
      const auto part =
          data.first(static_cast<size_t>(std::min<int64_t>(end - offset, static_cast<int64_t>(data.size()))));
      if (Result<void> ok = WriteAt(extent.fd, extent.offset + offset - begin, part); !ok) {
        return std::move(ok)
            .error()
            .Context(fmt::format("tensor `{}`", EscapeText(context_.plan.tensors[large.tensor].name)))
            .Context(context_.writer.path(large.tensor));
      }
      offset += static_cast<int64_t>(part.size());
      data = data.subspan(part.size());
    }
    begin = end;
  }
  CKMAP_CHECK(data.empty());
  return context_.progress.Advance(size);
}

Result<void> Worker::Account(size_t tensor) {
  evaluators_.set_target(context_.plan.tensors[tensor].name);
  CKMAP_ASSIGN_OR_RETURN(const ElementCounts counts, gatherer_.Settle(context_.plan.tensors[tensor].shape));
  if (counts.overflowed == 0 && counts.changed == 0) return {};
  const std::lock_guard lock(context_.outcomes_mutex);
  context_.outcomes[tensor].overflowed += counts.overflowed;
  context_.outcomes[tensor].changed += counts.changed;
  return {};
}

}  // namespace ckmap
