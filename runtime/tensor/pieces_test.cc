#include "runtime/tensor/pieces.h"

#include <algorithm>
#include <numeric>
#include <random>

#include <doctest/doctest.h>

namespace ckmap {
namespace {

// The plain meaning of a value: for each element, which element of which input it is.
using Plain = std::vector<int64_t>;

Plain Materialize(const PieceValue& value) {
  Plain out(static_cast<size_t>(*NumElements(value.shape)), -1);
  for (const Piece& piece : value.pieces) {
    std::vector<int64_t> index(piece.axes.size(), 0);
    while (true) {
      int64_t src = piece.src_offset, dst = piece.dst_offset;
      for (size_t a = 0; a < index.size(); ++a) {
        src += index[a] * piece.axes[a].src_stride;
        dst += index[a] * piece.axes[a].dst_stride;
      }
      REQUIRE(out.at(static_cast<size_t>(dst)) == -1);
      out[static_cast<size_t>(dst)] = piece.input * 1'000'000 + src;
      size_t a = index.size();
      while (a > 0 && ++index[a - 1] == piece.axes[a - 1].size) index[--a] = 0;
      if (a == 0) break;
    }
  }
  REQUIRE(std::find(out.begin(), out.end(), -1) == out.end());
  return out;
}

// The same operations, element by element.
struct Naive {
  Shape shape;
  Plain data;
};

template <typename At>
Naive Build(const Shape& shape, At at) {
  Naive out{shape, Plain(static_cast<size_t>(*NumElements(shape)))};
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t& value : out.data) {
    value = at(index);
    for (size_t a = shape.size(); a-- > 0;) {
      if (++index[a] < shape[a]) break;
      index[a] = 0;
    }
  }
  return out;
}

int64_t Get(const Naive& naive, const std::vector<int64_t>& index) {
  const auto strides = RowMajorStrides(naive.shape);
  return naive.data[static_cast<size_t>(std::inner_product(index.begin(), index.end(), strides.begin(), int64_t{0}))];
}

Naive NaivePermute(const Naive& in, const std::vector<size_t>& order) {
  Shape shape;
  for (const size_t axis : order) shape.push_back(in.shape[axis]);
  return Build(shape, [&](const std::vector<int64_t>& index) {
    std::vector<int64_t> from(index.size());
    for (size_t i = 0; i < order.size(); ++i) from[order[i]] = index[i];
    return Get(in, from);
  });
}

Naive NaiveMapAxis(const Naive& in, size_t axis, int64_t size, auto from_index) {
  Shape shape = in.shape;
  shape[axis] = size;
  return Build(shape, [&](std::vector<int64_t> index) {
    index[axis] = from_index(index[axis]);
    return Get(in, index);
  });
}

Naive NaiveConcat(const Naive& a, const Naive& b, size_t axis) {
  Shape shape = a.shape;
  shape[axis] += b.shape[axis];
  return Build(shape, [&](std::vector<int64_t> index) {
    if (index[axis] < a.shape[axis]) return Get(a, index);
    index[axis] -= a.shape[axis];
    return Get(b, index);
  });
}

struct Chain {
  explicit Chain(uint64_t seed) : random(seed) {}
  std::mt19937_64 random;
  int64_t Pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random); }

  // A shape of the same element count: sizes merged and split at random.
  Shape RandomReshape(int64_t count) {
    Shape shape;
    while (count > 1 && shape.size() < 4) {
      std::vector<int64_t> divisors;
      for (int64_t d = 1; d <= count; ++d) {
        if (count % d == 0) divisors.push_back(d);
      }
      const int64_t size = divisors[static_cast<size_t>(Pick(0, static_cast<int64_t>(divisors.size()) - 1))];
      shape.push_back(size);
      count /= size;
    }
    shape.push_back(count);
    return shape;
  }
};

void RunRandomChain(uint64_t seed) {
  Chain chain(seed);
  Shape shape;
  for (int64_t rank = chain.Pick(1, 4); rank > 0; --rank) shape.push_back(chain.Pick(1, 6));
  PieceValue value = WholeTensor(0, shape);
  Naive naive{shape, Plain(static_cast<size_t>(*NumElements(shape)))};
  std::iota(naive.data.begin(), naive.data.end(), int64_t{0});
  int32_t inputs = 1;
  for (int64_t steps = chain.Pick(1, 7); steps > 0; --steps) {
    const auto rank = static_cast<int64_t>(value.shape.size());
    const auto axis = static_cast<size_t>(chain.Pick(0, rank - 1));
    const int64_t size = value.shape[axis];
    switch (chain.Pick(0, 6)) {
      case 0: {
        std::vector<size_t> order(value.shape.size());
        std::iota(order.begin(), order.end(), size_t{0});
        std::shuffle(order.begin(), order.end(), chain.random);
        value = *Permute(value, order);
        naive = NaivePermute(naive, order);
        break;
      }
      case 1:
      case 2: {
        const Shape to = chain.RandomReshape(*NumElements(value.shape));
        value = *Reshape(value, to);
        naive.shape = to;
        break;
      }
      case 3: {
        const int64_t begin = chain.Pick(0, size - 1), end = chain.Pick(begin + 1, size);
        const int64_t step = chain.Pick(1, 3);
        value = *Slice(value, axis, begin, end, step);
        naive = NaiveMapAxis(naive, axis, (end - begin + step - 1) / step, [&](int64_t i) { return begin + i * step; });
        break;
      }
      case 4:
        value = *Flip(value, axis);
        naive = NaiveMapAxis(naive, axis, size, [&](int64_t i) { return size - 1 - i; });
        break;
      case 5: {
        if (*NumElements(value.shape) > 300) break;
        Shape other = value.shape;
        other[axis] = chain.Pick(1, 4);
        const int32_t input = inputs++;
        const bool front = chain.Pick(0, 1) == 0;
        const PieceValue more = WholeTensor(input, other);
        Naive naive_more{other, Plain(static_cast<size_t>(*NumElements(other)))};
        std::iota(naive_more.data.begin(), naive_more.data.end(), input * int64_t{1'000'000});
        value = front ? *Concat({more, value}, axis) : *Concat({value, more}, axis);
        naive = front ? NaiveConcat(naive_more, naive, axis) : NaiveConcat(naive, naive_more, axis);
        break;
      }
      default: {
        if (*NumElements(value.shape) > 300) break;
        const int64_t times = chain.Pick(1, 3);
        value = *Repeat(value, axis, times);
        naive = NaiveMapAxis(naive, axis, size * times, [&](int64_t i) { return i / times; });
      }
    }
    CAPTURE(seed);
    REQUIRE(value.shape == naive.shape);
    REQUIRE(Materialize(value) == naive.data);
    REQUIRE(CheckTiling(value).ok());
  }
}

TEST_CASE("random chains of structural operations equal their element-by-element meaning") {
  for (uint64_t seed = 0; seed < 4000; ++seed) RunRandomChain(seed);
}

TEST_CASE("split and concat back is one contiguous run") {
  const PieceValue whole = WholeTensor(0, {6, 4});
  for (const size_t axis : {size_t{0}, size_t{1}}) {
    const PieceValue a = *Slice(whole, axis, 0, 1);
    const PieceValue b = *Slice(whole, axis, 1, 3);
    const PieceValue c = *Slice(whole, axis, 3, whole.shape[axis]);
    const PieceValue back = *Concat({a, b, c}, axis);
    CHECK(back.pieces == whole.pieces);
  }
}

TEST_CASE("transposing twice is the identity") {
  const PieceValue whole = WholeTensor(0, {5, 3, 7});
  const PieceValue twice = *Permute(*Permute(whole, {2, 0, 1}), {1, 2, 0});
  CHECK(twice.pieces == whole.pieces);
}

TEST_CASE("the inverse of a permutation undoes it") {
  const Shape shape = {4, 6, 5};
  const PieceValue forward = *Permute(*Flip(WholeTensor(0, shape), 1), {2, 0, 1});
  const PieceValue back = Invert(forward, shape);
  const Plain there = Materialize(forward), again = Materialize(back);
  for (size_t i = 0; i < again.size(); ++i) {
    CHECK(there[static_cast<size_t>(again[i])] == static_cast<int64_t>(i));
  }
}

TEST_CASE("tiling finds what is written twice or never") {
  PieceValue value = WholeTensor(0, {4, 3});
  value.pieces[0].axes[0].size = 9;
  CHECK(CheckTiling(value).error().message() == "element [3, 0] is never written");
  value.pieces.push_back({0, 0, 6, {{6, 1, 1}}});
  CHECK(CheckTiling(value).error().message() == "3 elements are written more than once");
}

TEST_CASE("what no piece reads is named") {
  const PieceValue whole = WholeTensor(0, {16, 3});
  CHECK(DescribeUnread(whole.pieces, whole.shape).empty());
  CHECK(DescribeUnread(Slice(whole, 0, 0, 12)->pieces, whole.shape) == "rows 12..15");
  CHECK(DescribeUnread(Slice(whole, 0, 1, 16)->pieces, whole.shape) == "row 0");
  CHECK(DescribeUnread(Slice(whole, 1, 0, 2)->pieces, whole.shape) == "16 of 48 elements, the first at [0, 2]");
  CHECK(DescribeUnread({}, whole.shape) == "rows 0..15");
}

TEST_CASE("pieces stay few where the algebra allows it") {
  // Grouped query attention: per key-value group r query heads, one key head, one value head.
  const int64_t groups = 8, r = 4, dim = 16, hidden = 32;
  const PieceValue q = *Reshape(WholeTensor(0, {groups * r * dim, hidden}), {groups, r * dim, hidden});
  const PieceValue k = *Reshape(WholeTensor(1, {groups * dim, hidden}), {groups, dim, hidden});
  const PieceValue v = *Reshape(WholeTensor(2, {groups * dim, hidden}), {groups, dim, hidden});
  PieceValue fused = *Concat({q, k, v}, 1);
  fused = *Reshape(fused, {groups * (r + 2) * dim, hidden});
  CHECK(fused.pieces.size() == 3);
  CHECK(CheckTiling(fused).ok());
}

}  // namespace
}  // namespace ckmap
