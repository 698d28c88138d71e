#include "runtime/exec/schedule.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr int64_t kRunBytes = int64_t{8} << 20;     // of a RunTask
constexpr int64_t kTileBytes = int64_t{4} << 20;    // staged source bytes that a tile aims at
constexpr int64_t kGoodSegment = int64_t{4} << 10;  // reads shorter than this cost more than their bytes
constexpr int64_t kGoodRun = int64_t{64} << 10;     // and writes shorter than this
constexpr int64_t kLongRun = int64_t{128} << 10;    // 16 rows of it still fit a strip

// Cuts a tensor's boxes into tasks.
class Tiler {
 public:
  Tiler(std::shared_ptr<const LargeTensor> large, const Budget& budget, std::vector<Task>& tasks)
      : large_(std::move(large)), budget_(budget), element_(large_->lowered.element), tasks_(tasks) {}

  void Tile() {
    std::vector<Box> boxes = large_->lowered.boxes;
    std::sort(boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.dst < b.dst; });
    // Boxes whose stretches of the target interlock belong together.
    for (size_t begin = 0; begin < boxes.size();) {
      int64_t reach = boxes[begin].dst + boxes[begin].DstSpan(element_);
      size_t end = begin + 1;
      while (end < boxes.size() && boxes[end].dst < reach) {
        reach = std::max(reach, boxes[end].dst + boxes[end].DstSpan(element_));
        ++end;
      }
      TileGroup(
          std::vector<Box>(boxes.begin() + static_cast<ptrdiff_t>(begin), boxes.begin() + static_cast<ptrdiff_t>(end)),
          boxes[begin].dst, reach);
      begin = end;
    }
  }

 private:
  void TileGroup(std::vector<Box> boxes, int64_t begin, int64_t end) {
    const bool apart = std::all_of(boxes.begin(), boxes.end(), [&](const Box& box) {
      return boxes.size() == 1 || box.DstRun(element_) >= kGoodRun / 2;
    });
    if (!apart) return TileRange(std::move(boxes), begin, end);
    for (const Box& box : boxes) {
      if (IsRun(box)) {
        AddRuns(box);
      } else {
        TileBox(box);
      }
    }
  }

  int64_t SourceElement(const Box& box) const {
    return box.input == kFillInput ? element_ : large_->lowered.inputs[static_cast<size_t>(box.input)].element;
  }

  // One contiguous stretch on both sides.
  bool IsRun(const Box& box) const {
    if (box.axes.empty()) return true;
    if (box.axes.size() > 1 || box.axes[0].dst != element_) return false;
    return box.input == kFillInput || box.axes[0].src == SourceElement(box);
  }

  void AddRuns(const Box& box) {
    const int64_t count = box.elements();
    for (int64_t done = 0; done < count;) {
      int64_t bytes = ToMultiple(large_->FileOffset(box.dst + done * element_), kRunBytes);
      if (bytes < kRunBytes / 2) bytes += kRunBytes;
      const int64_t step = std::clamp<int64_t>(bytes / element_, 1, count - done);
      Task task;
      task.kind = Task::Kind::kRun;
      task.run = {large_, box.input, box.src + done * SourceElement(box), box.dst + done * element_, step * element_};
      tasks_.push_back(std::move(task));
      done += step;
    }
  }

  Staging Stage(const Box& box) const {
    if (box.input == kFillInput) return {};
    const LoweredInput& input = large_->lowered.inputs[static_cast<size_t>(box.input)];
    return PlanStaging(box, input.element, input.max_gap(), budget_.staging);
  }

  // Halves a box until it fits the memory, as far as that leaves reads and writes long.
  void TileBox(const Box& whole) {
    std::vector<Box> stack{whole};
    while (!stack.empty()) {
      Box box = std::move(stack.back());
      stack.pop_back();
      const size_t axis = AxisToHalve(box);
      if (axis == box.axes.size()) {
        AddBox(std::move(box));
        continue;
      }
      const int64_t half = HalfOf(box.axes[axis].size);
      Box tail = box;
      tail.src += half * box.axes[axis].src;
      tail.dst += half * box.axes[axis].dst;
      tail.axes[axis].size -= half;
      box.axes[axis].size = half;
      for (Box* part : {&tail, &box}) {  // the head is popped first
        if (part->axes[axis].size == 1) part->axes.erase(part->axes.begin() + static_cast<ptrdiff_t>(axis));
        stack.push_back(std::move(*part));
      }
    }
  }

  // A multiple of 64 where that is close to the middle: blocks stay whole.
  static int64_t HalfOf(int64_t size) {
    const int64_t half = (size + 1) / 2;
    return half > 256 ? (half + 63) / 64 * 64 : half;
  }

  // axes.size() if the box is good as it is.
  size_t AxisToHalve(const Box& box) const {
    const size_t none = box.axes.size();
    if (none == 0) return none;
    const Staging staging = Stage(box);
    const int64_t work = std::max(staging.bytes, box.elements() * element_);
    const size_t row = none - 1;  // contiguous in the target, usually
    const bool has_row = box.axes[row].dst == element_;
    const size_t column = SourceInner(box);
    const int64_t run = RunWithout(box, column);
    const bool crosses = column != none && column != row;
    if (has_row && crosses && run > kLongRun) {
      const size_t inside = LargestOther(box, column, row, 0, run);
      if (inside != none) return inside;
      if (box.axes[row].size > 64) return row;
    }
    if (work <= kTileBytes) return none;
    const size_t outer = LargestOther(box, column, row, run > 2 * kGoodRun ? 0 : run, INT64_MAX);
    if (outer != none) return outer;
    const int64_t segment = column == none ? 0 : box.axes[column].size * SourceElement(box);
    if (column != row && segment > 2 * kGoodSegment) return column;
    if (has_row && run > 2 * kGoodRun) return row;
    if (staging.bytes <= budget_.staging) return none;
    // Too large: shorten whatever is further above its goal.
    if (column != none && segment / kGoodSegment >= run / kGoodRun) return column;
    return has_row && box.axes[row].size > 64 ? row : Largest(box);
  }

  // Bytes of the target that are written without a hole along all axes but `column`.
  int64_t RunWithout(const Box& box, size_t column) const {
    int64_t run = element_;
    for (size_t k = box.axes.size(); k-- > 0 && box.axes[k].dst == run;) {
      if (k == column && k + 1 != box.axes.size()) break;
      run *= box.axes[k].size;
    }
    return run;
  }

  // The axis that is contiguous in the source; axes.size() if there is none.
  size_t SourceInner(const Box& box) const {
    const int64_t element = SourceElement(box);
    for (size_t k = 0; k < box.axes.size(); ++k) {
      if (std::abs(box.axes[k].src) == element) return k;
    }
    return box.axes.size();
  }

  // The largest axis, of those with a target stride in [min_dst, max_dst), that is contiguous on
  // neither side.
  static size_t LargestOther(const Box& box, size_t column, size_t row, int64_t min_dst, int64_t max_dst) {
    size_t best = box.axes.size();
    for (size_t k = 0; k < box.axes.size(); ++k) {
      if (k == column || k == row || box.axes[k].dst < min_dst || box.axes[k].dst >= max_dst) continue;
      if (best == box.axes.size() || box.axes[k].size > box.axes[best].size) best = k;
    }
    return best;
  }

  static size_t Largest(const Box& box) {
    size_t best = 0;
    for (size_t k = 1; k < box.axes.size(); ++k) {
      if (box.axes[k].size > box.axes[best].size) best = k;
    }
    return best;
  }

  void AddBox(Box box) {
    if (IsRun(box)) return AddRuns(box);
    Task task;
    task.kind = Task::Kind::kRegion;
    RegionTask& region = task.region;
    region.large = large_;
    region.dst = box.dst;
    region.run = box.DstRun(element_);
    for (const CopyAxis& axis : box.axes) {
      if (axis.dst >= region.run) region.outer.push_back(axis);
    }
    region.boxes.push_back(std::move(box));
    tasks_.push_back(std::move(task));
  }

  // Interlocking boxes with short runs: whole stretches of the target, halved until they fit.
  void TileRange(std::vector<Box> boxes, int64_t begin, int64_t end) {
    struct Range {
      std::vector<Box> boxes;
      int64_t begin;
      int64_t end;
    };
    std::vector<Range> stack;
    stack.push_back({std::move(boxes), begin, end});
    while (!stack.empty()) {
      Range range = std::move(stack.back());
      stack.pop_back();
      int64_t staged = 0;
      for (const Box& box : range.boxes) {
        if (__builtin_add_overflow(staged, Stage(box).bytes, &staged)) staged = INT64_MAX;
      }
      const bool fits = staged <= budget_.staging && range.end - range.begin <= 4 * kTileBytes;
      const int64_t middle = fits ? range.end : Middle(range.boxes, range.begin, range.end);
      if (middle >= range.end) {
        AddRange(std::move(range.boxes), range.begin, range.end);
        continue;
      }
      Range head{{}, range.begin, middle};
      Range tail{{}, middle, range.end};
      for (const Box& box : range.boxes) {
        CutToRange(box, head.begin, head.end, element_, head.boxes);
        CutToRange(box, tail.begin, tail.end, element_, tail.boxes);
      }
      stack.push_back(std::move(tail));
      stack.push_back(std::move(head));
    }
  }

  // Near the middle, on a boundary of the largest axis that has several within the range.
  int64_t Middle(const std::vector<Box>& boxes, int64_t begin, int64_t end) const {
    int64_t grain = element_;
    for (const Box& box : boxes) {
      for (const CopyAxis& axis : box.axes) {
        if (axis.dst <= (end - begin) / 2) grain = std::max(grain, axis.dst);
      }
    }
    const int64_t middle = begin + (end - begin) / 2 / grain * grain;
    return middle > begin ? middle : end;
  }

  void AddRange(std::vector<Box> boxes, int64_t begin, int64_t end) {
    Task task;
    task.kind = Task::Kind::kRegion;
    task.region = {large_, std::move(boxes), begin, end - begin, {}};
    tasks_.push_back(std::move(task));
  }

  std::shared_ptr<const LargeTensor> large_;
  const Budget& budget_;
  int64_t element_;
  std::vector<Task>& tasks_;
};

// Where a tensor goes, as far as the order and the batches need it.
struct FilePlace {
  size_t tensor = 0;
  int64_t bytes = 0;
  int fd = -1;
  int64_t offset = 0;
  bool one_run = false;
};

constexpr size_t kMaxBatch = 8192;
constexpr int64_t kMaxHole = 4096;  // between tensors of a batch

}  // namespace

int64_t LargeTensor::FileOffset(int64_t at) const {
  const auto found = FindExtent(extents, at, 1);
  return found ? found->offset : at;
}

Result<Schedule> MakeSchedule(const BoundPlan& plan, const Checkpoint& source, const CheckpointWriter& writer,
                              const Budget& budget) {
  std::vector<FilePlace> places;
  places.reserve(plan.tensors.size());
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    const BoundTensor& tensor = plan.tensors[i];
    const int64_t bytes = *NumBytes(tensor.shape, tensor.dtype);
    if (bytes == 0) continue;
    const std::vector<FileExtent> extents = writer.extents(i);
    if (extents.empty()) continue;  // not wanted
    places.push_back({i, bytes, extents[0].fd, extents[0].offset, extents.size() == 1});
  }
  std::sort(places.begin(), places.end(), [](const FilePlace& a, const FilePlace& b) {
    return std::tie(a.fd, a.offset, a.tensor) < std::tie(b.fd, b.offset, b.tensor);
  });
  Schedule schedule;
  for (size_t at = 0; at < places.size();) {
    const FilePlace& first = places[at];
    size_t end = at;
    while (end < places.size() && end - at < kMaxBatch) {
      const FilePlace& next = places[end];
      if (next.bytes > budget.small() || !next.one_run || next.fd != first.fd) break;
      if (end > at && next.offset - (places[end - 1].offset + places[end - 1].bytes) > kMaxHole) break;
      if (next.offset + next.bytes - first.offset > budget.strip) break;
      ++end;
    }
    if (end > at) {
      Task task;
      task.batch = {schedule.order.size(), schedule.order.size() + end - at};
      for (; at < end; ++at) schedule.order.push_back(places[at].tensor);
      schedule.tasks.push_back(std::move(task));
      continue;
    }
    auto large = std::make_shared<LargeTensor>();
    large->tensor = first.tensor;
    const BoundTensor& tensor = plan.tensors[first.tensor];
    Result<LoweredTensor> lowered = LowerTensor(tensor, source, tensor.rule);
    if (!lowered) return std::move(lowered).error().Context("tensor `" + EscapeText(tensor.name) + "`");
    large->lowered = *std::move(lowered);
    large->extents = writer.extents(first.tensor);
    schedule.order.push_back(first.tensor);
    Tiler(std::move(large), budget, schedule.tasks).Tile();
    ++at;
  }
  return schedule;
}

}  // namespace ckmap
