#include "runtime/exec/worker.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/exec/cast.h"

namespace ckmap {
namespace {

constexpr int64_t kChunk = int64_t{1} << 20;  // of a copy; fits the second-level cache

std::span<std::byte> Bytes(std::byte* data, int64_t size) { return {data, static_cast<size_t>(size)}; }

std::string FormatCoordinates(int64_t index, const Shape& shape) {
  std::vector<int64_t> coordinates(shape.size());
  for (size_t k = shape.size(); k-- > 0;) {
    coordinates[k] = index % shape[k];
    index /= shape[k];
  }
  return FormatShape(coordinates);
}

}  // namespace

Result<void> Progress::Advance(int64_t bytes) {
  const int64_t done = done_.fetch_add(bytes) + bytes;
  if (options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed)) {
    return Error(ErrorCode::kIo, "stopped before it was complete");
  }
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

Buffer::Buffer(int64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
  void* data = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return;
  ::madvise(data, bytes_, MADV_HUGEPAGE);  // without it everything is only slower
  data_ = static_cast<std::byte*>(data);
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

Worker::Worker(ExecutionContext& context)
    : context_(context),
      memory_(context.budget.total()),
      strip_(memory_.data()),
      convert_(strip_ + context.budget.strip),
      staging_(convert_ + context.budget.convert) {}

Result<void> Worker::Run(const Task& task) {
  if (!memory_.ok()) return Error(ErrorCode::kLimit, "out of memory");
  switch (task.kind) {
    case Task::Kind::kBatch: return RunBatch(task.batch);
    case Task::Kind::kRun: return RunRun(task.run);
    case Task::Kind::kRegion: return RunRegion(task.region);
  }
  return {};
}

Result<void> Worker::RunRun(const RunTask& task) {
  if (task.input == kFillInput) return RunFill(task);
  const LargeTensor& large = *task.large;
  const LoweredInput& input = large.lowered.inputs[static_cast<size_t>(task.input)];
  const int64_t element = large.lowered.element;
  const int64_t count = task.bytes / element;
  const int64_t room = std::min({kChunk, context_.budget.strip, context_.budget.staging});
  const int64_t step = std::max<int64_t>(1, room / std::max(element, input.element));
  const bool plain = input.chain.trivial();
  for (int64_t done = 0; done < count; done += step) {
    const int64_t n = std::min(step, count - done);
    std::byte* read_to = plain ? strip_ : staging_;
    CKMAP_RETURN_IF_ERROR(ReadSource(input, large.tensor, task.src + done * input.element,
                                     Bytes(read_to, n * input.element)));
    const int64_t at = task.dst + done * element;
    if (!plain) Convert(input, staging_, strip_, n, at / element);
    CKMAP_RETURN_IF_ERROR(WriteTarget(large, at, Bytes(strip_, n * element)));
  }
  return Account(large.tensor);
}

Result<void> Worker::RunFill(const RunTask& task) {
  const LargeTensor& large = *task.large;
  const std::vector<std::byte>& fill = context_.plan.tensors[large.tensor].fill;
  const int64_t element = large.lowered.element;
  const int64_t step = std::min(kChunk, context_.budget.strip) / element * element;
  const CopyAxis axis{std::min(step, task.bytes) / element, 0, element};
  StridedCopy(fill.data(), strip_, std::span(&axis, 1), element);
  for (int64_t done = 0; done < task.bytes; done += step) {
    CKMAP_RETURN_IF_ERROR(
        WriteTarget(large, task.dst + done, Bytes(strip_, std::min(step, task.bytes - done))));
  }
  return {};
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
    stagings[i] = PlanStaging(boxes[i], input.element, kMaxGap, context_.budget.staging);
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
    CKMAP_RETURN_IF_ERROR(ReadStaged(stagings[i], input, task.large->tensor, staging_ + used));
    boxes[i].src = used + stagings[i].start;
    boxes[i].axes = std::move(stagings[i].axes);
    used += stagings[i].bytes;
  }
  return {};
}

Result<void> Worker::RunRegion(const RegionTask& task) {
  const LargeTensor& large = *task.large;
  const int64_t element = large.lowered.element;
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
  const int64_t strip = std::clamp(std::max(kChunk, 16 * grain), grain, context_.budget.strip) / grain * grain;
  std::vector<Box> parts;
  for (int64_t done = 0; done < total; done += strip) {
    const int64_t begin = first + done;
    const int64_t end = first + std::min(total, done + strip);
    parts.clear();
    for (const Box& box : boxes) CutToRange(box, begin, end, element, parts);
    for (const Box& part : parts) {
      if (staged) {
        MoveElements(part, large.lowered, large.tensor, staging_, strip_, begin);
      } else {
        CKMAP_RETURN_IF_ERROR(MoveBox(part, large.lowered, large.tensor, strip_, begin));
      }
    }
    CKMAP_RETURN_IF_ERROR(WriteRegion(task, begin, end));
  }
  if (counts_.first.index >= 0 && !task.outer.empty()) {
    int64_t stretch = counts_.first.index * element / task.run;
    int64_t at = task.dst + counts_.first.index * element % task.run;
    for (size_t k = task.outer.size(); k-- > 0;) {
      at += stretch % task.outer[k].size * task.outer[k].dst;
      stretch /= task.outer[k].size;
    }
    counts_.first.index = at / element;
  }
  return Account(large.tensor);
}

// Writes the strip, which holds bytes [begin, end) of the region as RunRegion counts them.
Result<void> Worker::WriteRegion(const RegionTask& task, int64_t begin, int64_t end) {
  if (task.outer.empty()) return WriteTarget(*task.large, begin, Bytes(strip_, end - begin));
  for (int64_t at = begin; at < end;) {
    const int64_t within = at % task.run;
    const int64_t count = std::min(task.run - within, end - at);
    int64_t stretch = at / task.run;
    int64_t dst = task.dst + within;
    for (size_t k = task.outer.size(); k-- > 0;) {
      dst += stretch % task.outer[k].size * task.outer[k].dst;
      stretch /= task.outer[k].size;
    }
    CKMAP_RETURN_IF_ERROR(WriteTarget(*task.large, dst, Bytes(strip_ + (at - begin), count)));
    at += count;
  }
  return {};
}

void Worker::MoveElements(const Box& box, const LoweredTensor& lowered, size_t tensor,
                          const std::byte* base, std::byte* out, int64_t out_begin) {
  if (box.input == kFillInput) {
    const std::vector<std::byte>& fill = context_.plan.tensors[tensor].fill;
    StridedCopy(fill.data(), out + (box.dst - out_begin), box.axes, lowered.element);
    return;
  }
  const LoweredInput& input = lowered.inputs[static_cast<size_t>(box.input)];
  if (!input.chain.trivial()) return MoveConverted(box, input, lowered.element, base, out, out_begin);
  StridedCopy(base + box.src, out + (box.dst - out_begin), box.axes, lowered.element);
}

void Worker::MoveConverted(const Box& box, const LoweredInput& input, int64_t element,
                           const std::byte* base, std::byte* out, int64_t out_begin) {
  const int64_t count = box.elements();
  const bool dense = box.axes.empty() || (box.axes.size() == 1 && box.axes[0].src == input.element &&
                                          box.axes[0].dst == element);
  if (dense) {
    return Convert(input, base + box.src, out + (box.dst - out_begin), count, box.dst / element);
  }
  // The elements in the order of the target, side by side, a buffer full at a time.
  Box packed = box;
  packed.dst = 0;
  int64_t stride = input.element;
  for (size_t k = packed.axes.size(); k-- > 0; stride *= packed.axes[k].size) {
    packed.axes[k].dst = stride;
  }
  const int64_t run = box.DstRun(element) / element;
  const int64_t step = context_.budget.convert / input.element;
  std::vector<Box> parts;
  for (int64_t done = 0; done < count; done += step) {
    const int64_t end = std::min(count, done + step);
    parts.clear();
    CutToRange(packed, done * input.element, end * input.element, input.element, parts);
    for (const Box& part : parts) {
      StridedCopy(base + part.src, convert_ + (part.dst - done * input.element), part.axes,
                  input.element);
    }
    for (int64_t at = done; at < end;) {
      const int64_t n = std::min(run - at % run, end - at);
      int64_t stretch = at / run;
      int64_t dst = box.dst + at % run * element;
      for (size_t k = box.axes.size(); k-- > 0;) {
        if (box.axes[k].dst < run * element) continue;
        dst += stretch % box.axes[k].size * box.axes[k].dst;
        stretch /= box.axes[k].size;
      }
      Convert(input, convert_ + (at - done) * input.element, out + (dst - out_begin), n, dst / element);
      at += n;
    }
  }
}

void Worker::Convert(const LoweredInput& input, const std::byte* src, std::byte* dst,
                     int64_t count, int64_t index) {
  const int64_t before = counts_.first.index;
  ConvertElements(input.chain, src, dst, count, index, counts_);
  if (counts_.first.index != before) refused_source_ = input.source;
}

Result<void> Worker::MoveBox(const Box& box, const LoweredTensor& lowered, size_t tensor,
                             std::byte* out, int64_t out_begin) {
  if (box.input == kFillInput) {
    MoveElements(box, lowered, tensor, nullptr, out, out_begin);
    return {};
  }
  const LoweredInput& input = lowered.inputs[static_cast<size_t>(box.input)];
  Staging staging = PlanStaging(box, input.element, kMaxGap, context_.budget.staging);
  if (staging.bytes <= context_.budget.staging) {
    CKMAP_RETURN_IF_ERROR(ReadStaged(staging, input, tensor, staging_));
    const Box moved{box.input, staging.start, box.dst, std::move(staging.axes)};
    MoveElements(moved, lowered, tensor, staging_, out, out_begin);
    return {};
  }
  const int64_t end = box.dst + box.DstSpan(lowered.element);
  const int64_t middle = box.dst + (end - box.dst) / lowered.element / 2 * lowered.element;
  std::vector<Box> parts;
  CutToRange(box, box.dst, middle, lowered.element, parts);
  CutToRange(box, middle, end, lowered.element, parts);
  for (const Box& part : parts) {
    CKMAP_RETURN_IF_ERROR(MoveBox(part, lowered, tensor, out, out_begin));
  }
  return {};
}

Result<std::span<const std::byte>> Worker::Gather(const LoweredTensor& lowered, size_t tensor,
                                                 int64_t begin, int64_t end) {
  CKMAP_CHECK(end - begin <= context_.budget.strip);
  if (!memory_.ok()) return Error(ErrorCode::kLimit, "out of memory");
  std::vector<Box> parts;
  for (const Box& box : lowered.boxes) CutToRange(box, begin, end, lowered.element, parts);
  for (const Box& part : parts) {
    CKMAP_RETURN_IF_ERROR(MoveBox(part, lowered, tensor, strip_, begin));
  }
  return std::span<const std::byte>(Bytes(strip_, end - begin));
}

Result<void> Worker::ReadStaged(const Staging& staging, const LoweredInput& input, size_t tensor,
                                std::byte* to) const {
  std::vector<int64_t> index(staging.outer.size(), 0);
  int64_t from = staging.first;
  for (;;) {
    CKMAP_RETURN_IF_ERROR(ReadSource(input, tensor, from, Bytes(to, staging.segment)));
    size_t k = index.size();
    for (;; ) {
      if (k == 0) return {};
      --k;
      from += staging.outer[k].src;
      to += staging.outer[k].dst;
      if (++index[k] < staging.outer[k].size) break;
      from -= staging.outer[k].src * index[k];
      to -= staging.outer[k].dst * index[k];
      index[k] = 0;
    }
  }
}

Result<void> Worker::ReadSource(const LoweredInput& input, size_t tensor, int64_t offset,
                                std::span<std::byte> out) const {
  Result<void> read = context_.source.ReadStorage(input.storage, offset, out);
  if (!read) return Where(tensor, input.source, std::move(read).error());
  return {};
}

Result<void> Worker::WriteTarget(const LargeTensor& large, int64_t offset,
                                 std::span<const std::byte> data) {
  const auto size = static_cast<int64_t>(data.size());
  if (large.extents.empty()) {
    CKMAP_RETURN_IF_ERROR(context_.writer.Write(large.tensor, offset, data));
    return context_.progress.Advance(size);
  }
  int64_t begin = 0;
  for (const FileExtent& extent : large.extents) {
    const int64_t end = begin + extent.length;
    if (offset < end && !data.empty()) {
      const auto part = data.first(static_cast<size_t>(
          std::min<int64_t>(end - offset, static_cast<int64_t>(data.size()))));
      if (Result<void> ok = WriteAt(extent.fd, extent.offset + offset - begin, part); !ok) {
        return std::move(ok).error()
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

Error Worker::Where(size_t tensor, size_t source, Error error) const {
  const std::string& from = context_.source.manifest()[source].name;
  return std::move(error).Context(fmt::format("target tensor `{}`, from source tensor `{}`",
                                              EscapeText(context_.plan.tensors[tensor].name),
                                              EscapeText(from)));
}

Result<void> Worker::Account(size_t tensor) {
  const ElementCounts counts = std::exchange(counts_, {});
  if (counts.first.index >= 0) {
    const CastOp& cast = counts.first.cast;
    return Where(tensor, refused_source_,
                 Error(ErrorCode::kMismatch,
                       fmt::format("element {} is {}, which {} cannot hold; cast with "
                                   "overflow=saturate{} if that is meant",
                                   FormatCoordinates(counts.first.index, context_.plan.tensors[tensor].shape),
                                   FormatElement(cast.from, counts.first.bits), DTypeName(cast.to),
                                   CanCast({cast.from, cast.to, Overflow::kInf}) ? " or inf" : "")));
  }
  if (counts.overflowed == 0 && counts.changed == 0) return {};
  const std::lock_guard lock(context_.outcomes_mutex);
  context_.outcomes[tensor].overflowed += counts.overflowed;
  context_.outcomes[tensor].changed += counts.changed;
  return {};
}

}  // namespace ckmap
