#include "runtime/exec/box.h"

#include <algorithm>
#include <cstdlib>

namespace ckmap {
namespace {

// Of axes [first, end) of the box.
int64_t SpanFrom(const Box& box, size_t first, int64_t element) {
  int64_t span = element;
  for (size_t k = first; k < box.axes.size(); ++k) span += (box.axes[k].size - 1) * box.axes[k].dst;
  return span;
}

// The part of `box` with indices [begin, end) of axis `axis`, which is the first one.
Box Part(const Box& box, int64_t begin, int64_t end) {
  Box part = box;
  part.src += begin * box.axes[0].src;
  part.dst += begin * box.axes[0].dst;
  part.axes[0].size = end - begin;
  if (end - begin == 1) part.axes.erase(part.axes.begin());
  return part;
}

}  // namespace

int64_t Box::elements() const {
  int64_t count = 1;
  for (const CopyAxis& axis : axes) count *= axis.size;
  return count;
}

int64_t Box::DstSpan(int64_t element) const { return SpanFrom(*this, 0, element); }

int64_t Box::DstRun(int64_t element) const {
  int64_t run = element;
  for (size_t k = axes.size(); k-- > 0 && axes[k].dst == run;) run *= axes[k].size;
  return run;
}

void CutToRange(const Box& box, int64_t begin, int64_t end, int64_t element, std::vector<Box>& out) {
  const int64_t box_end = box.dst + box.DstSpan(element);
  if (box.dst >= end || box_end <= begin) return;
  if (box.dst >= begin && box_end <= end) {
    out.push_back(box);
    return;
  }
  // One element is inside or outside, so there is an axis.
  const CopyAxis& axis = box.axes[0];
  const int64_t span = SpanFrom(box, 1, element);
  // Stretches [whole_begin, whole_end) lie inside; at most one on either side is cut.
  const int64_t below = begin - box.dst;
  const int64_t above = end - box.dst;
  const int64_t whole_begin = below <= 0 ? 0 : std::min(axis.size, (below + axis.dst - 1) / axis.dst);
  const int64_t whole_end = above < span ? 0 : std::min(axis.size, (above - span) / axis.dst + 1);
  if (whole_begin > 0) {
    CutToRange(Part(box, whole_begin - 1, whole_begin), begin, end, element, out);
  }
  if (whole_begin < whole_end) out.push_back(Part(box, whole_begin, whole_end));
  const int64_t next = std::max(whole_begin, whole_end);
  if (next < axis.size) CutToRange(Part(box, next, next + 1), begin, end, element, out);
}

Staging PlanStaging(const Box& box, int64_t element, int64_t max_gap, int64_t capacity) {
  std::vector<size_t> order;  // by source stride, smallest first; axes that repeat left out
  Staging staging;
  staging.first = box.src;
  staging.axes = box.axes;
  for (size_t k = 0; k < box.axes.size(); ++k) {
    const CopyAxis& axis = box.axes[k];
    if (axis.src < 0) staging.first += (axis.size - 1) * axis.src;
    if (axis.src != 0) order.push_back(k);
  }
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return std::abs(box.axes[a].src) < std::abs(box.axes[b].src); });
  staging.segment = element;
  size_t inner = 0;
  for (; inner < order.size(); ++inner) {
    const CopyAxis& axis = box.axes[order[inner]];
    const int64_t stride = std::abs(axis.src);
    const int64_t span = (axis.size - 1) * stride + staging.segment;
    if (stride - staging.segment > max_gap || span > capacity) break;
    staging.segment = span;
  }
  staging.pitch = staging.segment;
  if (staging.segment >= 64) {
    staging.pitch = (staging.segment + 63) / 64 * 64;
    // Segments a multiple of 2 KiB apart would compete for the same cache lines.
    if (staging.pitch % 2048 == 0) staging.pitch += 64;
  }
  staging.bytes = staging.pitch;
  for (size_t i = inner; i < order.size(); ++i) {
    CopyAxis& axis = staging.axes[order[i]];
    const int64_t stride = std::abs(axis.src);
    staging.outer.push_back({axis.size, stride, staging.bytes});
    axis.src = axis.src < 0 ? -staging.bytes : staging.bytes;
    if (__builtin_mul_overflow(staging.bytes, axis.size, &staging.bytes)) {
      staging.bytes = INT64_MAX;
      return staging;
    }
  }
  std::reverse(staging.outer.begin(), staging.outer.end());
  for (const CopyAxis& axis : staging.axes) {
    if (axis.src < 0) staging.start -= (axis.size - 1) * axis.src;
  }
  if (staging.bytes > capacity && max_gap > 0) return PlanStaging(box, element, 0, capacity);
  return staging;
}

}  // namespace ckmap
