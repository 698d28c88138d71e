#include "runtime/exec/kernels/strided_copy.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

namespace ckmap {
namespace {

// Copies one element at a time.
void Naive(const std::byte* src, std::byte* dst, std::span<const CopyAxis> axes, int64_t element) {
  if (axes.empty()) {
    std::memcpy(dst, src, static_cast<size_t>(element));
    return;
  }
  for (int64_t i = 0; i < axes[0].size; ++i) {
    Naive(src + i * axes[0].src, dst + i * axes[0].dst, axes.subspan(1), element);
  }
}

// Both sides dense, with the axes in the order `order` in the source.
std::vector<CopyAxis> Permutation(const std::vector<int64_t>& sizes, const std::vector<size_t>& order,
                                  int64_t element) {
  std::vector<CopyAxis> axes(sizes.size());
  int64_t stride = element;
  for (size_t k = sizes.size(); k-- > 0; stride *= sizes[k]) axes[k] = {sizes[k], 0, stride};
  stride = element;
  for (size_t k = sizes.size(); k-- > 0; stride *= sizes[order[k]]) axes[order[k]].src = stride;
  return axes;
}

void Check(const std::vector<CopyAxis>& axes, int64_t element, int64_t src_start = 0) {
  int64_t src_end = src_start + element;
  int64_t dst_end = element;
  for (const CopyAxis& axis : axes) {
    if (axis.src > 0) src_end += (axis.size - 1) * axis.src;
    dst_end += (axis.size - 1) * axis.dst;
  }
  std::vector<std::byte> src(static_cast<size_t>(src_end));
  std::mt19937 random(7);
  std::generate(src.begin(), src.end(), [&] { return static_cast<std::byte>(random()); });
  std::vector<std::byte> expected(static_cast<size_t>(dst_end), std::byte{0xee});
  std::vector<std::byte> got = expected;
  Naive(src.data() + src_start, expected.data(), axes, element);
  StridedCopy(src.data() + src_start, got.data(), axes, element);
  CHECK(got == expected);
}

TEST_CASE("transposes of every element size, even and odd sides") {
  for (const int64_t element : {1, 2, 4, 8, 16, 3, 12}) {
    for (const auto& sizes : std::vector<std::vector<int64_t>>{{1, 1},
                                                               {1, 7},
                                                               {7, 1},
                                                               {2, 3},
                                                               {16, 16},
                                                               {17, 15},
                                                               {64, 64},
                                                               {65, 63},
                                                               {3, 200},
                                                               {200, 3},
                                                               {130, 2100},
                                                               {256, 128}}) {
      CAPTURE(element);
      CAPTURE(sizes[0]);
      CAPTURE(sizes[1]);
      Check(Permutation(sizes, {1, 0}, element), element);
    }
  }
}

TEST_CASE("rows a power of two apart") {
  for (const int64_t element : {1, 2, 4, 8}) {
    Check(Permutation({2048 / element, 80}, {1, 0}, element), element);
    Check({{80, element, 4096}, {70, 8192, element}}, element);
  }
}

TEST_CASE("all permutations of four axes") {
  const std::vector<int64_t> sizes = {5, 3, 4, 9};
  std::vector<size_t> order = {0, 1, 2, 3};
  do {
    for (const int64_t element : {1, 2, 4, 8, 16}) Check(Permutation(sizes, order, element), element);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("convolution kernels: OIHW to HWIO and back") {
  Check(Permutation({3, 3, 40, 72}, {3, 2, 0, 1}, 4), 4);
  Check(Permutation({72, 40, 3, 3}, {2, 3, 1, 0}, 4), 4);
}

TEST_CASE("repeated, reversed, spread and empty axes") {
  Check({{6, 0, 40}, {10, 4, 4}}, 4);
  Check({{20, 0, 4}}, 4);
  Check({{20, -4, 4}}, 4, 76);
  Check({{20, 8, 12}}, 4);
  Check({{3, -8, 64}, {8, 40, 8}}, 4, 16);
  std::byte untouched{1};
  const CopyAxis empty{0, 4, 4};
  StridedCopy(nullptr, &untouched, std::span(&empty, 1), 4);
  CHECK(untouched == std::byte{1});
}

TEST_CASE("random boxes") {
  std::mt19937 random(11);
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  for (int round = 0; round < 400; ++round) {
    const int64_t element = int64_t{1} << below(5);
    std::vector<int64_t> sizes(static_cast<size_t>(1 + below(5)));
    for (int64_t& size : sizes) size = 1 + below(sizes.size() > 3 ? 6 : 40);
    std::vector<size_t> order(sizes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    std::vector<CopyAxis> axes = Permutation(sizes, order, element);
    if (below(3) == 0) {
      for (CopyAxis& axis : axes) axis.dst *= 2;  // a part of a larger target
    }
    int64_t start = 0;
    for (CopyAxis& axis : axes) {
      if (below(6) == 0) {
        start += (axis.size - 1) * axis.src;
        axis.src = -axis.src;
      }
    }
    std::shuffle(axes.begin(), axes.end(), random);
    Check(axes, element, start);
  }
}

}  // namespace
}  // namespace ckmap
