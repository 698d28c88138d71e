// A tile is walked in blocks of 64 bytes by 64 bytes, so that every cache line that is touched is
// used whole on both sides; inside a block, squares of 16 bytes by 16 bytes are transposed in registers by
// interleaving. Compiled once for each instruction set through Highway.
#include "runtime/exec/kernels/transpose_kernels.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/exec/kernels/transpose_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ckmap {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct Tile {
  const std::byte* src;
  const int64_t* rows;
  std::byte* dst;
  const int64_t* columns;
};

// One square of 16 / sizeof(T) elements a side, at row r and column c.
template <typename T>
HWY_INLINE void Square(const Tile& tile, size_t r, size_t c) {
  constexpr size_t kSide = 16 / sizeof(T);
#if HWY_TARGET == HWY_SCALAR
  for (size_t i = 0; i < kSide; ++i) {
    for (size_t j = 0; j < kSide; ++j) {
      std::memcpy(tile.dst + tile.columns[c + i] + (r + j) * sizeof(T),
                  tile.src + tile.rows[r + j] + (c + i) * sizeof(T), sizeof(T));
    }
  }
#else
  const hn::FixedTag<T, kSide> tag;
  using V = hn::Vec<decltype(tag)>;
  V a[kSide];
  V b[kSide];
  for (size_t i = 0; i < kSide; ++i) {
    a[i] = hn::LoadU(tag, reinterpret_cast<const T*>(tile.src + tile.rows[r + i]) + c);
  }
  // Each round interleaves vector i with vector i + side/2; log2(side) rounds transpose.
  for (size_t round = 1; round < kSide; round *= 2) {
    for (size_t i = 0; i < kSide / 2; ++i) {
      b[2 * i] = hn::InterleaveLower(tag, a[i], a[i + kSide / 2]);
      b[2 * i + 1] = hn::InterleaveUpper(tag, a[i], a[i + kSide / 2]);
    }
    for (size_t i = 0; i < kSide; ++i) a[i] = b[i];
  }
  for (size_t i = 0; i < kSide; ++i) {
    hn::StoreU(a[i], tag, reinterpret_cast<T*>(tile.dst + tile.columns[c + i]) + r);
  }
#endif
}

#undef CKMAP_PAIRS
#if HWY_TARGET != HWY_SCALAR && HWY_MAX_BYTES >= 32 && !HWY_HAVE_SCALABLE
#define CKMAP_PAIRS 1
#else
#define CKMAP_PAIRS 0
#endif

#if CKMAP_PAIRS
// Two squares, one below the other, in vectors of 32 bytes whose halves are interleaved each for itself: half the
// shuffles, and stores of twice the length.
template <typename T>
HWY_INLINE void SquarePair(const Tile& tile, size_t r, size_t c) {
  constexpr size_t kSide = 16 / sizeof(T);
  const hn::FixedTag<T, kSide> half;
  const hn::FixedTag<T, 2 * kSide> tag;
  using V = hn::Vec<decltype(tag)>;
  V a[kSide];
  V b[kSide];
  for (size_t i = 0; i < kSide; ++i) {
    const auto upper = hn::LoadU(half, reinterpret_cast<const T*>(tile.src + tile.rows[r + kSide + i]) + c);
    a[i] = hn::Combine(tag, upper, hn::LoadU(half, reinterpret_cast<const T*>(tile.src + tile.rows[r + i]) + c));
  }
  for (size_t round = 1; round < kSide; round *= 2) {
    for (size_t i = 0; i < kSide / 2; ++i) {
      b[2 * i] = hn::InterleaveLower(tag, a[i], a[i + kSide / 2]);
      b[2 * i + 1] = hn::InterleaveUpper(tag, a[i], a[i + kSide / 2]);
    }
    for (size_t i = 0; i < kSide; ++i) a[i] = b[i];
  }
  for (size_t i = 0; i < kSide; ++i) {
    hn::StoreU(a[i], tag, reinterpret_cast<T*>(tile.dst + tile.columns[c + i]) + r);
  }
}
#endif

template <typename T>
HWY_INLINE void Scalar(const Tile& tile, size_t r0, size_t r1, size_t c0, size_t c1) {
  for (size_t c = c0; c < c1; ++c) {
    for (size_t r = r0; r < r1; ++r) {
      std::memcpy(tile.dst + tile.columns[c] + r * sizeof(T), tile.src + tile.rows[r] + c * sizeof(T), sizeof(T));
    }
  }
}

// Rows r0 to r1 and columns c0 to c1 with squares as far as they fit.
template <typename T>
HWY_INLINE void Block(const Tile& tile, size_t r0, size_t r1, size_t c0, size_t c1) {
  constexpr size_t kSide = 16 / sizeof(T);
  size_t c = c0;
  for (; c + kSide <= c1; c += kSide) {
    size_t r = r0;
#if CKMAP_PAIRS
    for (; r + 2 * kSide <= r1; r += 2 * kSide) SquarePair<T>(tile, r, c);
#endif
    for (; r + kSide <= r1; r += kSide) Square<T>(tile, r, c);
    if (r < r1) Scalar<T>(tile, r, r1, c, c + kSide);
  }
  if (c < c1) Scalar<T>(tile, r0, r1, c, c1);
}

// The same for rows whose distance makes their cache lines compete for one set: the block's
// source lines are first gathered side by side.
template <typename T>
HWY_INLINE void GatheredBlock(const Tile& tile, size_t r0, size_t c0) {
  constexpr size_t kSide = 64 / sizeof(T);
  alignas(64) std::byte lines[kSide * 64];
  int64_t offsets[kSide];
  int64_t columns[kSide];
  for (size_t i = 0; i < kSide; ++i) {
    offsets[i] = static_cast<int64_t>(i * 64);
    columns[i] = tile.columns[c0 + i] + static_cast<int64_t>(r0 * sizeof(T));
    std::memcpy(lines + i * 64, tile.src + tile.rows[r0 + i] + c0 * sizeof(T), 64);
  }
  Block<T>(Tile{lines, offsets, tile.dst, columns}, 0, kSide, 0, kSide);
}

// Strips of `kRowBlocks` blocks of rows, each walked along its rows: the source is read in as many streams as the strip
// has rows, and each column of the destination gets `kRowBlocks` cache lines side by side. So a page on either side
// serves several lines, where a walk down a column would touch another page for each line.
template <typename T>
HWY_INLINE void Transpose(const Tile& tile, size_t row_count, size_t column_count) {
  constexpr size_t kSide = 64 / sizeof(T);
  constexpr size_t kRowBlocks = 4;
  const bool aliasing = row_count > 1 && (tile.rows[1] - tile.rows[0]) % 2048 == 0;
  for (size_t strip = 0; strip < row_count; strip += kRowBlocks * kSide) {
    const size_t strip_end = HWY_MIN(strip + kRowBlocks * kSide, row_count);
    for (size_t c = 0; c < column_count; c += kSide) {
      const size_t c1 = HWY_MIN(c + kSide, column_count);
      for (size_t r = strip; r < strip_end; r += kSide) {
        const size_t r1 = HWY_MIN(r + kSide, strip_end);
        if (aliasing && c1 - c == kSide && r1 - r == kSide) {
          GatheredBlock<T>(tile, r, c);
        } else {
          Block<T>(tile, r, r1, c, c1);
        }
      }
    }
  }
}

// 16-byte elements have nothing to interleave.
HWY_INLINE void Transpose16(const Tile& tile, size_t row_count, size_t column_count) {
  constexpr size_t kSide = 4;
  for (size_t c = 0; c < column_count; c += kSide) {
    const size_t c1 = c + kSide < column_count ? c + kSide : column_count;
    for (size_t r = 0; r < row_count; ++r) {
      for (size_t k = c; k < c1; ++k) {
        std::memcpy(tile.dst + tile.columns[k] + r * 16, tile.src + tile.rows[r] + k * 16, 16);
      }
    }
  }
}

void TransposeAny(const std::byte* src, const int64_t* rows, size_t row_count, std::byte* dst, const int64_t* columns,
                  size_t column_count, size_t element) {
  const Tile tile{src, rows, dst, columns};
  switch (element) {
    case 1:
      return Transpose<uint8_t>(tile, row_count, column_count);
    case 2:
      return Transpose<uint16_t>(tile, row_count, column_count);
    case 4:
      return Transpose<uint32_t>(tile, row_count, column_count);
    case 8:
      return Transpose<uint64_t>(tile, row_count, column_count);
    default:
      return Transpose16(tile, row_count, column_count);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ckmap
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ckmap {
namespace {

HWY_EXPORT(TransposeAny);

}  // namespace

void TransposeTile(const std::byte* src, const int64_t* rows, size_t row_count, std::byte* dst, const int64_t* columns,
                   size_t column_count, size_t element) {
  HWY_DYNAMIC_DISPATCH(TransposeAny)(src, rows, row_count, dst, columns, column_count, element);
}

}  // namespace ckmap
#endif  // HWY_ONCE
