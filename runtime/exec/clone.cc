#include "runtime/exec/clone.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "runtime/exec/tensor_reader.h"

namespace ckmap {
namespace {

constexpr int64_t kWorthwhile = int64_t{64} << 10;  // a shorter run is copied as fast as it is cloned

// A task of the schedule as runs of two files.
struct FileRun {
  size_t task = 0;
  int from_fd = -1;
  int64_t from = 0;
  int to_fd = -1;
  int64_t to = 0;
  int64_t bytes = 0;
};

std::optional<FileRun> AsFileRun(const Checkpoint& source, const Task& task, size_t index) {
  if (task.kind != Task::Kind::kRun || task.run.input == kFillInput) return std::nullopt;
  const RunTask& run = task.run;
  const LoweredInput& input = run.large->lowered.inputs[static_cast<size_t>(run.input)];
  if (input.node != nullptr || !input.chain.trivial() || source.checksums(input.storage) != nullptr)
    return std::nullopt;
  const auto from = FindExtent(source.storage_extents(input.storage), run.src, run.bytes);
  const auto to = FindExtent(run.large->extents, run.dst, run.bytes);
  if (!from || !to) return std::nullopt;
  return FileRun{index, from->fd, from->offset, to->fd, to->offset, run.bytes};
}

bool Continues(const FileRun& before, const FileRun& next) {
  return next.from_fd == before.from_fd && next.to_fd == before.to_fd && next.from == before.from + before.bytes &&
         next.to == before.to + before.bytes;
}

// Whether byte `at` of the target file lies between two elements of `run`, or outside it.
bool BetweenElements(const FileRun& run, int64_t at, const Schedule& schedule) {
  const int64_t element = schedule.tasks[run.task].run.large->lowered.element;
  return at <= run.to || at >= run.to + run.bytes || (at - run.to) % element == 0;
}

// The bytes [begin, end) of the target file that can be cloned for all of `runs`, which continue each other.
std::pair<int64_t, int64_t> WholeBlocks(const std::vector<FileRun>& runs, const Schedule& schedule) {
  const FileRun& first = runs.front();
  const FileRun& last = runs.back();
  const std::pair<int64_t, int64_t> none{first.to, first.to};
  if ((first.from - first.to) % kSharedBlock != 0) return none;
  const int64_t begin = (first.to + kSharedBlock - 1) / kSharedBlock * kSharedBlock;
  const int64_t end = (last.to + last.bytes) / kSharedBlock * kSharedBlock;
  if (end - begin < kWorthwhile) return none;
  // What is left at both ends must be whole elements.
  const bool whole = std::all_of(runs.begin(), runs.end(), [&](const FileRun& run) {
    return BetweenElements(run, begin, schedule) && BetweenElements(run, end, schedule);
  });
  return whole ? std::pair{begin, end} : none;
}

bool Clone(const FileRun& first, int64_t begin, int64_t end) {
  file_clone_range range{};
  range.src_fd = first.from_fd;
  range.src_offset = static_cast<uint64_t>(first.from + begin - first.to);
  range.src_length = static_cast<uint64_t>(end - begin);
  range.dest_offset = static_cast<uint64_t>(begin);
  return ::ioctl(first.to_fd, FICLONERANGE, &range) == 0;
}

// Takes [begin, end) of the file that it writes out of a task; what remains before and behind it goes to `kept`.
void TakeOut(const Task& task, const FileRun& run, int64_t begin, int64_t end, std::vector<Task>& kept) {
  const auto keep = [&](int64_t from, int64_t to) {
    if (from >= to) return;
    Task part = task;
    part.run.src += from - run.to;
    part.run.dst += from - run.to;
    part.run.bytes = to - from;
    kept.push_back(std::move(part));
  };
  keep(run.to, std::min(begin, run.to + run.bytes));
  keep(std::max(end, run.to), run.to + run.bytes);
}

}  // namespace

void FindCopies(const BoundPlan& plan, const Checkpoint& source, std::vector<OutputTensor>& outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const BoundTensor& tensor = plan.tensors[i];
    // What is lowered here is lowered once more for the schedule, so only where one input is the whole tensor.
    const bool one = tensor.value.pieces.size() == 1 && tensor.inputs.size() == 1 && tensor.inputs[0].node == nullptr;
    if (!one || NumBytes(tensor.shape, tensor.dtype).value_or(0) < kWorthwhile) continue;
    const Result<LoweredTensor> lowered = LowerTensor(tensor, source, tensor.rule);
    const auto stored = lowered ? AsStored(*lowered) : std::nullopt;
    if (!stored || source.checksums(stored->storage) != nullptr) continue;
    if (const auto from = InFile(source, *stored)) outputs[i].copied_from = from->offset;
  }
}

std::vector<ClonedBytes> CloneRuns(const Checkpoint& source, Schedule& schedule) {
  std::vector<ClonedBytes> cloned;
  if (source.has_crc()) return cloned;
  std::vector<FileRun> runs;
  for (size_t i = 0; i < schedule.tasks.size(); ++i) {
    if (auto run = AsFileRun(source, schedule.tasks[i], i)) runs.push_back(*run);
  }
  std::vector<Task> kept;
  std::vector<bool> gone(schedule.tasks.size(), false);
  for (size_t begin = 0; begin < runs.size();) {
    size_t end = begin + 1;
    while (end < runs.size() && Continues(runs[end - 1], runs[end])) ++end;
    const std::vector<FileRun> group(runs.begin() + static_cast<ptrdiff_t>(begin),
                                     runs.begin() + static_cast<ptrdiff_t>(end));
    begin = end;
    const auto [first, last] = WholeBlocks(group, schedule);
    if (first == last) continue;
    if (!Clone(group.front(), first, last)) break;  // this file system will not do better with the next
    for (const FileRun& run : group) {
      const Task& task = schedule.tasks[run.task];
      TakeOut(task, run, first, last, kept);
      gone[run.task] = true;
      const int64_t bytes = std::min(last, run.to + run.bytes) - std::max(first, run.to);
      if (bytes > 0) cloned.push_back({task.run.large->tensor, bytes});
    }
  }
  if (cloned.empty()) return cloned;
  for (size_t i = 0; i < schedule.tasks.size(); ++i) {
    if (!gone[i]) kept.push_back(std::move(schedule.tasks[i]));
  }
  schedule.tasks = std::move(kept);
  return cloned;
}

}  // namespace ckmap
