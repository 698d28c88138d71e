#include "runtime/report/shared_bytes.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "runtime/tensor/dtype.h"
#include "runtime/tensor/shape.h"

namespace ckmap {
namespace {

struct ByteRun {
  int64_t begin = 0;
  int64_t end = 0;
};

// The bytes of a tensor as runs in ascending order, or, beyond kMaxRuns of them, as the one run that holds them all.
std::vector<ByteRun> RunsOf(const TensorInfo& info, const TensorLayout& layout) {
  constexpr int64_t kMaxRuns = 1 << 16;
  std::vector<std::pair<int64_t, int64_t>> axes;  // stride, size; the smallest stride last
  for (size_t axis = 0; axis < info.shape.size(); ++axis) {
    if (info.shape[axis] == 0) return {};
    if (info.shape[axis] > 1 && layout.strides[axis] > 0) axes.emplace_back(layout.strides[axis], info.shape[axis]);
  }
  std::sort(axes.rbegin(), axes.rend());
  int64_t length = NumBytes({1}, info.dtype).value_or(1);
  while (!axes.empty() && axes.back().first <= length) {  // what follows without a gap
    length += (axes.back().second - 1) * axes.back().first;
    axes.pop_back();
  }
  int64_t count = 1, span = length;
  for (const auto& [stride, size] : axes) {
    count = count > kMaxRuns ? count : count * size;
    span += (size - 1) * stride;
  }
  if (count > kMaxRuns) return {{layout.offset, layout.offset + span}};
  std::vector<ByteRun> runs = {{layout.offset, layout.offset + length}};
  for (const auto& [stride, size] : axes) {
    const size_t before = runs.size();
    for (int64_t i = 1; i < size; ++i) {
      for (size_t run = 0; run < before; ++run)
        runs.push_back({runs[run].begin + i * stride, runs[run].end + i * stride});
    }
  }
  std::sort(runs.begin(), runs.end(), [](const ByteRun& a, const ByteRun& b) { return a.begin < b.begin; });
  return runs;
}

class Groups {
 public:
  explicit Groups(size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), size_t{0}); }
  size_t Of(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void Join(size_t a, size_t b) {
    a = Of(a), b = Of(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> parent_;
};

}  // namespace

std::vector<size_t> FirstOfSameBytes(const Checkpoint& checkpoint) {
  const Manifest& manifest = checkpoint.manifest();
  std::map<std::tuple<uint32_t, int64_t, DType, Shape, std::vector<int64_t>>, size_t> seen;
  std::vector<size_t> first(manifest.size());
  for (size_t i = 0; i < manifest.size(); ++i) {
    first[i] = i;
    if (manifest[i].storage < 0 || NumElements(manifest[i].shape) == 0) continue;
    const TensorLayout& layout = checkpoint.layout(i);
    first[i] =
        seen.try_emplace({layout.storage, layout.offset, manifest[i].dtype, manifest[i].shape, layout.strides}, i)
            .first->second;
  }
  return first;
}

std::vector<std::vector<size_t>> TensorsThatShareBytes(const Checkpoint& checkpoint) {
  const Manifest& manifest = checkpoint.manifest();
  const std::vector<size_t> first = FirstOfSameBytes(checkpoint);
  std::map<uint32_t, std::vector<size_t>> by_storage;
  Groups groups(manifest.size());
  for (size_t i = 0; i < manifest.size(); ++i) {
    if (manifest[i].storage < 0) continue;
    if (first[i] == i) by_storage[checkpoint.layout(i).storage].push_back(i);
    if (first[i] != i) groups.Join(first[i], i);
  }
  for (const auto& [storage, tensors] : by_storage) {
    if (tensors.size() < 2) continue;
    std::vector<std::pair<ByteRun, size_t>> runs;
    for (const size_t tensor : tensors) {
      for (const ByteRun& run : RunsOf(manifest[tensor], checkpoint.layout(tensor))) runs.emplace_back(run, tensor);
    }
    std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.first.begin < b.first.begin; });
    int64_t end = 0;
    size_t holder = 0;  // of the run that reaches farthest so far
    for (const auto& [run, tensor] : runs) {
      if (run.begin < end) groups.Join(holder, tensor);
      if (run.end > end) end = run.end, holder = tensor;
    }
  }
  std::map<size_t, std::vector<size_t>> members;
  for (size_t i = 0; i < manifest.size(); ++i) members[groups.Of(i)].push_back(i);
  std::vector<std::vector<size_t>> shared;
  for (auto& [root, all] : members) {
    if (all.size() > 1) shared.push_back(std::move(all));
  }
  return shared;
}

}  // namespace ckmap
