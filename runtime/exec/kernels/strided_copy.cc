// After merging, an innermost axis that is contiguous on both sides is a run: a short one becomes
// a wider element, a long one is copied whole. What is then left is a transpose wherever the source
// and the destination each have a contiguous axis of their own; everything else is a plain gather.
#include "runtime/exec/kernels/strided_copy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "runtime/exec/kernels/transpose_kernels.h"

namespace ckmap {
namespace {

constexpr size_t kTileSide = 2048;  // offsets in a kernel call's tables

bool IsKernelSize(int64_t size) { return size == 1 || size == 2 || size == 4 || size == 8 || size == 16; }

// Calls body(src, dst) for every index of `axes`, the last axis fastest.
template <typename Body>
void ForEachIndex(const std::byte* src, std::byte* dst, std::span<const CopyAxis> axes, const Body& body) {
  if (axes.empty()) return body(src, dst);
  if (axes.size() == 1) {
    for (int64_t i = 0; i < axes[0].size; ++i) body(src + i * axes[0].src, dst + i * axes[0].dst);
    return;
  }
  std::vector<int64_t> index(axes.size(), 0);
  for (;;) {
    body(src, dst);
    size_t k = axes.size();
    while (k-- > 0) {
      src += axes[k].src;
      dst += axes[k].dst;
      if (++index[k] < axes[k].size) break;
      src -= axes[k].src * axes[k].size;
      dst -= axes[k].dst * axes[k].size;
      index[k] = 0;
      if (k == 0) return;
    }
  }
}

template <size_t kSize>
void CopyRuns(const std::byte* src, std::byte* dst, std::span<const CopyAxis> axes) {
  const CopyAxis inner = axes.empty() ? CopyAxis{} : axes.back();
  const auto outer = axes.empty() ? axes : axes.first(axes.size() - 1);
  ForEachIndex(src, dst, outer, [&](const std::byte* from, std::byte* to) {
    for (int64_t i = 0; i < inner.size; ++i) {
      std::memcpy(to + i * inner.dst, from + i * inner.src, kSize);
    }
  });
}

void Gather(const std::byte* src, std::byte* dst, std::span<const CopyAxis> axes, int64_t run) {
  switch (run) {
    case 1:
      return CopyRuns<1>(src, dst, axes);
    case 2:
      return CopyRuns<2>(src, dst, axes);
    case 4:
      return CopyRuns<4>(src, dst, axes);
    case 8:
      return CopyRuns<8>(src, dst, axes);
    case 16:
      return CopyRuns<16>(src, dst, axes);
    default:
      ForEachIndex(src, dst, axes,
                   [run](const std::byte* from, std::byte* to) { std::memcpy(to, from, static_cast<size_t>(run)); });
  }
}

// Axes (innermost first) that one after another continue a contiguous run of one side, seen as one
// long axis; `other` holds their strides on the other side.
struct Chain {
  std::vector<int64_t> sizes;
  std::vector<int64_t> others;
  int64_t count = 1;

  void Add(int64_t size, int64_t other) {
    sizes.push_back(size);
    others.push_back(other);
    count *= size;
  }

  // Offsets on the other side of the elements [begin, begin + n).
  void Offsets(int64_t begin, size_t n, int64_t* out) const {
    std::array<int64_t, 64> index{};
    int64_t offset = 0;
    for (size_t k = 0; k < sizes.size(); ++k) {
      index[k] = begin % sizes[k];
      begin /= sizes[k];
      offset += index[k] * others[k];
    }
    for (size_t i = 0; i < n; ++i) {
      out[i] = offset;
      for (size_t k = 0; k < sizes.size(); ++k) {
        offset += others[k];
        if (++index[k] < sizes[k]) break;
        offset -= sizes[k] * others[k];
        index[k] = 0;
      }
    }
  }
};

// Takes the axes that continue a contiguous run of `element` bytes on the side `stride`.
Chain TakeChain(std::vector<CopyAxis>& axes, int64_t CopyAxis::*stride, int64_t CopyAxis::*other, int64_t element) {
  Chain chain;
  for (bool found = true; found;) {
    found = false;
    for (size_t k = 0; k < axes.size(); ++k) {
      if (axes[k].*stride != element * chain.count) continue;
      chain.Add(axes[k].size, axes[k].*other);
      axes.erase(axes.begin() + static_cast<ptrdiff_t>(k));
      found = true;
      break;
    }
  }
  return chain;
}

// The axes hold one that is contiguous in the source and another that is so in the destination.
void Transpose(const std::byte* src, std::byte* dst, std::span<const CopyAxis> all, int64_t element) {
  std::vector<CopyAxis> axes(all.begin(), all.end());
  // The destination's innermost axis is kept out of the source's chain.
  const CopyAxis inner = axes.back();
  axes.pop_back();
  const Chain columns = TakeChain(axes, &CopyAxis::src, &CopyAxis::dst, element);
  axes.push_back(inner);
  const Chain rows = TakeChain(axes, &CopyAxis::dst, &CopyAxis::src, element);
  std::array<int64_t, kTileSide> row_offsets;
  std::array<int64_t, kTileSide> column_offsets;
  const auto side = static_cast<int64_t>(kTileSide);
  ForEachIndex(src, dst, axes, [&](const std::byte* from, std::byte* to) {
    for (int64_t r = 0; r < rows.count; r += side) {
      const auto row_count = static_cast<size_t>(std::min(side, rows.count - r));
      rows.Offsets(r, row_count, row_offsets.data());
      for (int64_t c = 0; c < columns.count; c += side) {
        const auto column_count = static_cast<size_t>(std::min(side, columns.count - c));
        columns.Offsets(c, column_count, column_offsets.data());
        TransposeTile(from + c * element, row_offsets.data(), row_count, to + r * element, column_offsets.data(),
                      column_count, static_cast<size_t>(element));
      }
    }
  });
}

}  // namespace

size_t SimplifyAxes(std::span<CopyAxis> axes) {
  const auto end = std::remove_if(axes.begin(), axes.end(), [](const CopyAxis& a) { return a.size == 1; });
  std::sort(axes.begin(), end, [](const CopyAxis& a, const CopyAxis& b) { return a.dst > b.dst; });
  size_t count = 0;
  for (auto it = axes.begin(); it != end; ++it) {
    if (count > 0) {
      CopyAxis& outer = axes[count - 1];
      if (outer.src == it->src * it->size && outer.dst == it->dst * it->size) {
        outer = {outer.size * it->size, it->src, it->dst};
        continue;
      }
    }
    axes[count++] = *it;
  }
  return count;
}

void StridedCopy(const std::byte* src, std::byte* dst, std::span<const CopyAxis> axes, int64_t element) {
  if (std::any_of(axes.begin(), axes.end(), [](const CopyAxis& a) { return a.size == 0; })) return;
  std::vector<CopyAxis> kept(axes.begin(), axes.end());
  kept.resize(SimplifyAxes(kept));
  if (!kept.empty() && kept.back().src == element && kept.back().dst == element) {
    element *= kept.back().size;
    kept.pop_back();
  }
  if (kept.empty()) {
    std::memcpy(dst, src, static_cast<size_t>(element));
    return;
  }
  const bool wide_enough = IsKernelSize(element) && kept.size() >= 2 && kept.back().dst == element && kept.size() < 64;
  if (wide_enough) {
    for (size_t k = 0; k + 1 < kept.size(); ++k) {
      if (kept[k].src == element) return Transpose(src, dst, kept, element);
    }
  }
  Gather(src, dst, kept, element);
}

}  // namespace ckmap
