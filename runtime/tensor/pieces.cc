// Every operation that needs to know along which axis a piece moves first resolves it: splits its
// axes until each moves along exactly one axis of the shape. Reshape needs nothing of that, since
// pieces address the row-major order, which a reshape does not change.
#include "runtime/tensor/pieces.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "runtime/base/check.h"

namespace ckmap {
namespace {

// An axis of a resolved piece: index i moves `step * i` along axis `dim` of the shape.
struct ResolvedAxis {
  int64_t size = 1;
  int64_t src_stride = 0;
  size_t dim = 0;
  int64_t step = 1;
};

struct ResolvedPiece {
  int32_t input = 0;
  int64_t src_offset = 0;
  std::vector<int64_t> origin;  // coordinates of the first element
  std::vector<ResolvedAxis> axes;
};

Error TooManyPieces() {
  return {ErrorCode::kLimit, fmt::format("an operation would cut a tensor in more than {} strided pieces", kMaxPieces)};
}

std::vector<int64_t> Coordinates(int64_t offset, const Shape& shape, const std::vector<int64_t>& strides) {
  std::vector<int64_t> result(shape.size());
  for (size_t d = 0; d < shape.size(); ++d) result[d] = offset / strides[d] % shape[d];
  return result;
}

void SortAxes(Piece& piece) {
  std::stable_sort(piece.axes.begin(), piece.axes.end(),
                   [](const PieceAxis& a, const PieceAxis& b) { return a.dst_stride > b.dst_stride; });
}

// The part [begin, end) of one axis of a piece.
Piece AxisRange(const Piece& piece, size_t axis, int64_t begin, int64_t end) {
  Piece part = piece;
  part.axes[axis].size = end - begin;
  part.src_offset += begin * piece.axes[axis].src_stride;
  part.dst_offset += begin * piece.axes[axis].dst_stride;
  return part;
}

// Resolves pieces against one shape.
class Resolver {
 public:
  explicit Resolver(const Shape& shape) : shape_(shape), strides_(RowMajorStrides(shape)) {}

  Result<std::vector<ResolvedPiece>> Resolve(const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces) {
      work_.push_back(piece);
      while (!work_.empty()) {
        Piece next = std::move(work_.back());
        work_.pop_back();
        Step(std::move(next));
        if (done_.size() + work_.size() > kMaxPieces) return TooManyPieces();
      }
    }
    return std::move(done_);
  }

 private:
  // The axis of the shape along which a stride moves, if it is one alone.
  std::optional<size_t> SingleDim(int64_t stride) const {
    std::optional<size_t> found;
    for (size_t d = 0; d < shape_.size(); ++d) {
      if (stride / strides_[d] % shape_[d] == 0) continue;
      if (found) return std::nullopt;
      found = d;
    }
    if (found && stride % strides_[*found] != 0) return std::nullopt;
    return found;
  }

  void Unroll(const Piece& piece, size_t axis) {
    for (int64_t i = piece.axes[axis].size; i-- > 0;) {
      Piece part = AxisRange(piece, axis, i, i + 1);
      part.axes.erase(part.axes.begin() + static_cast<ptrdiff_t>(axis));
      work_.push_back(std::move(part));
    }
  }

  void Cut(const Piece& piece, size_t axis, int64_t at) {
    work_.push_back(AxisRange(piece, axis, at, piece.axes[axis].size));
    work_.push_back(AxisRange(piece, axis, 0, at));
  }

  // Resolves one piece, or replaces it by simpler ones on the work list.
  void Step(Piece piece) {
    std::erase_if(piece.axes, [](const PieceAxis& axis) { return axis.size == 1; });
    SortAxes(piece);
    ResolvedPiece resolved{piece.input, piece.src_offset, Coordinates(piece.dst_offset, shape_, strides_), {}};
    std::vector<int64_t> last = resolved.origin;  // greatest coordinates reached so far
    for (size_t a = 0; a < piece.axes.size(); ++a) {
      const PieceAxis axis = piece.axes[a];
      const auto dim = SingleDim(axis.dst_stride);
      if (!dim) return Unroll(piece, a);
      const size_t d = *dim;
      const int64_t step = axis.dst_stride / strides_[d];
      if (last[d] + (axis.size - 1) * step < shape_[d]) {
        last[d] += (axis.size - 1) * step;
        resolved.axes.push_back({axis.size, axis.src_stride, d, step});
        continue;
      }
      return SplitAtEdge(piece, a, d, step, last[d]);
    }
    done_.push_back(std::move(resolved));
  }

  // Axis `a` runs over the end of axis `d` of the shape: cut it where it does.
  void SplitAtEdge(const Piece& piece, size_t a, size_t d, int64_t step, int64_t last) {
    const PieceAxis axis = piece.axes[a];
    const int64_t inner = shape_[d] / step;
    if (shape_[d] % step == 0 && last < step && inner > 1) {
      const int64_t whole = axis.size / inner * inner;
      if (whole != axis.size) return Cut(piece, a, whole);
      Piece split = piece;
      split.axes[a] = {axis.size / inner, axis.src_stride * inner, axis.dst_stride * inner};
      split.axes.insert(split.axes.begin() + static_cast<ptrdiff_t>(a) + 1, {inner, axis.src_stride, axis.dst_stride});
      work_.push_back(std::move(split));
      return;
    }
    const int64_t head = last >= shape_[d] ? 0 : (shape_[d] - 1 - last) / step + 1;
    if (head > 0 && head < axis.size) return Cut(piece, a, head);
    Unroll(piece, 0);
  }

  const Shape& shape_;
  std::vector<int64_t> strides_;
  std::vector<Piece> work_;
  std::vector<ResolvedPiece> done_;
};

// Back to row-major addresses, where axis d of the resolved piece is axis `to[d]` of `shape`.
Piece Linearize(const ResolvedPiece& resolved, const std::vector<size_t>& to, const std::vector<int64_t>& strides) {
  Piece piece{resolved.input, resolved.src_offset, 0, {}};
  for (size_t d = 0; d < resolved.origin.size(); ++d) {
    piece.dst_offset += resolved.origin[d] * strides[to[d]];
  }
  for (const ResolvedAxis& axis : resolved.axes) {
    piece.axes.push_back({axis.size, axis.src_stride, axis.step * strides[to[axis.dim]]});
  }
  SortAxes(piece);
  return piece;
}

std::vector<size_t> Iota(size_t count) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  return order;
}

PieceValue FromResolved(const std::vector<ResolvedPiece>& resolved, Shape shape) {
  PieceValue value{std::move(shape), {}};
  const std::vector<int64_t> strides = RowMajorStrides(value.shape);
  const std::vector<size_t> same = Iota(value.shape.size());
  value.pieces.reserve(resolved.size());
  for (const ResolvedPiece& piece : resolved) value.pieces.push_back(Linearize(piece, same, strides));
  Normalize(value);
  return value;
}

bool HasNoElements(const Shape& shape) { return std::find(shape.begin(), shape.end(), 0) != shape.end(); }

// ---- slice -------------------------------------------------------------------------------------

struct SliceRange {
  size_t dim;
  int64_t begin, end, step;
};

// Cuts resolved pieces to a range of one axis.
class Slicer {
 public:
  explicit Slicer(SliceRange range) : range_(range) {}

  Result<std::vector<ResolvedPiece>> Run(std::vector<ResolvedPiece> pieces) {
    work_ = std::move(pieces);
    std::reverse(work_.begin(), work_.end());
    while (!work_.empty()) {
      ResolvedPiece piece = std::move(work_.back());
      work_.pop_back();
      Step(std::move(piece));
      if (work_.size() + done_.size() > kMaxPieces) return TooManyPieces();
    }
    return std::move(done_);
  }

 private:
  bool Hits(int64_t coordinate) const {
    return coordinate >= range_.begin && coordinate < range_.end && (coordinate - range_.begin) % range_.step == 0;
  }

  void Step(ResolvedPiece piece) {
    std::vector<size_t> along;
    for (size_t a = 0; a < piece.axes.size(); ++a) {
      if (piece.axes[a].dim == range_.dim) along.push_back(a);
    }
    int64_t& origin = piece.origin[range_.dim];
    if (along.empty()) {
      if (!Hits(origin)) return;
      origin = (origin - range_.begin) / range_.step;
      done_.push_back(std::move(piece));
    } else if (along.size() == 1) {
      CutAxis(std::move(piece), along.front());
    } else {
      CutNested(piece, along);
    }
  }

  void CutAxis(ResolvedPiece piece, size_t a) {
    ResolvedAxis& axis = piece.axes[a];
    int64_t& origin = piece.origin[range_.dim];
    // First and last index inside the range, then those that the range's own step hits.
    int64_t first = origin >= range_.begin ? 0 : (range_.begin - origin + axis.step - 1) / axis.step;
    const int64_t until = range_.end <= origin ? 0 : (range_.end - origin + axis.step - 1) / axis.step;
    const int64_t stop = std::min(axis.size, until);
    const int64_t every = range_.step / std::gcd(axis.step, range_.step);
    // Hits repeat every `every` indices, if there are any.
    for (int64_t tries = 0; tries < every && first < stop; ++tries) {
      if (Hits(origin + first * axis.step)) break;
      ++first;
    }
    if (first >= stop || !Hits(origin + first * axis.step)) return;
    piece.src_offset += first * axis.src_stride;
    origin = (origin + first * axis.step - range_.begin) / range_.step;
    axis.size = (stop - first + every - 1) / every;
    axis.src_stride *= every;
    axis.step = axis.step * every / range_.step;
    done_.push_back(std::move(piece));
  }

  // Several axes move along the sliced one (a reshape merged them): the outermost is cut in what
  // lies wholly inside, and single steps at the edges.
  void CutNested(const ResolvedPiece& piece, const std::vector<size_t>& along) {
    const size_t outer = *std::max_element(along.begin(), along.end(),
                                           [&](size_t x, size_t y) { return piece.axes[x].step < piece.axes[y].step; });
    int64_t reach = 0;  // of the inner axes
    for (const size_t a : along) {
      if (a != outer) reach += (piece.axes[a].size - 1) * piece.axes[a].step;
    }
    const ResolvedAxis& axis = piece.axes[outer];
    const int64_t origin = piece.origin[range_.dim];
    int64_t i = 0;
    while (i < axis.size) {
      const int64_t low = origin + i * axis.step;
      if (low + reach < range_.begin || low >= range_.end) {
        ++i;
        continue;
      }
      int64_t next = i + 1;
      const bool inside = low >= range_.begin && low + reach < range_.end && range_.step == 1;
      while (inside && next < axis.size && origin + next * axis.step + reach < range_.end) ++next;
      ResolvedPiece part = piece;
      part.src_offset += i * axis.src_stride;
      part.origin[range_.dim] = low;
      if (inside) {
        part.axes[outer].size = next - i;
        part.origin[range_.dim] -= range_.begin;
        done_.push_back(std::move(part));
      } else {
        part.axes.erase(part.axes.begin() + static_cast<ptrdiff_t>(outer));
        work_.push_back(std::move(part));
      }
      i = next;
    }
  }

  SliceRange range_;
  std::vector<ResolvedPiece> work_, done_;
};

// ---- merging pieces ----------------------------------------------------------------------------

void NormalizePiece(Piece& piece) {
  std::erase_if(piece.axes, [](const PieceAxis& axis) { return axis.size == 1; });
  SortAxes(piece);
  std::vector<PieceAxis> merged;
  for (const PieceAxis& axis : piece.axes) {
    if (!merged.empty()) {
      PieceAxis& outer = merged.back();
      if (outer.dst_stride == axis.dst_stride * axis.size && outer.src_stride == axis.src_stride * axis.size) {
        outer = {outer.size * axis.size, axis.src_stride, axis.dst_stride};
        continue;
      }
    }
    merged.push_back(axis);
  }
  piece.axes = std::move(merged);
}

// Gives both pieces the same list of strides, with axes of size 1 where one lacks an axis. False
// if their strides do not fit together.
bool AlignAxes(std::vector<PieceAxis>& a, std::vector<PieceAxis>& b) {
  for (size_t i = 0; i < a.size() || i < b.size(); ++i) {
    const int64_t in_a = i < a.size() ? a[i].dst_stride : 0;
    const int64_t in_b = i < b.size() ? b[i].dst_stride : 0;
    const auto at = static_cast<ptrdiff_t>(i);
    if (in_a > in_b) {
      b.insert(b.begin() + at, {1, a[i].src_stride, in_a});
    } else if (in_b > in_a) {
      a.insert(a.begin() + at, {1, b[i].src_stride, in_b});
    } else if (a[i].src_stride != b[i].src_stride) {
      return false;
    }
  }
  return true;
}

// Appends `next` to `piece` if it goes on where one of the piece's axes ends.
bool Extend(Piece& piece, const Piece& next) {
  if (piece.input != next.input) return false;
  std::vector<PieceAxis> axes = piece.axes, other = next.axes;
  if (!AlignAxes(axes, other)) return false;
  const int64_t dst = next.dst_offset - piece.dst_offset;
  const int64_t src = next.src_offset - piece.src_offset;
  std::optional<size_t> differing;
  for (size_t a = 0; a < axes.size(); ++a) {
    if (axes[a].size == other[a].size) continue;
    if (differing) return false;
    differing = a;
  }
  for (size_t a = 0; a < axes.size(); ++a) {
    if (differing && *differing != a) continue;
    if (dst == axes[a].size * axes[a].dst_stride && src == axes[a].size * axes[a].src_stride) {
      axes[a].size += other[a].size;
      piece.axes = std::move(axes);
      return true;
    }
  }
  // Two equal pieces side by side, element by element, are one with a new innermost axis.
  if (differing || dst != 1 || (!axes.empty() && axes.back().dst_stride == 1)) return false;
  piece.axes.push_back({2, src, 1});
  return true;
}

}  // namespace

PieceValue WholeTensor(int32_t input, const Shape& shape) {
  PieceValue value{shape, {}};
  if (HasNoElements(shape)) return value;
  const auto count = NumElements(shape);
  CKMAP_CHECK(count.has_value());
  Piece piece{input, 0, 0, {}};
  const bool fill = input == kFillInput;
  if (*count > 1) piece.axes.push_back({*count, fill ? 0 : 1, 1});
  value.pieces.push_back(std::move(piece));
  return value;
}

Result<PieceValue> Permute(const PieceValue& value, const std::vector<size_t>& order) {
  CKMAP_CHECK(order.size() == value.shape.size());
  Shape shape(order.size());
  std::vector<size_t> to(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    shape[i] = value.shape[order[i]];
    to[order[i]] = i;
  }
  PieceValue result{shape, {}};
  if (HasNoElements(shape)) return result;
  CKMAP_ASSIGN_OR_RETURN(const auto resolved, Resolver(value.shape).Resolve(value.pieces));
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  for (const ResolvedPiece& piece : resolved) result.pieces.push_back(Linearize(piece, to, strides));
  Normalize(result);
  return result;
}

Result<PieceValue> Reshape(const PieceValue& value, const Shape& shape) {
  CKMAP_CHECK(NumElements(value.shape) == NumElements(shape));
  return PieceValue{shape, value.pieces};
}

Result<PieceValue> Slice(const PieceValue& value, size_t axis, int64_t begin, int64_t end, int64_t step) {
  CKMAP_CHECK(axis < value.shape.size() && step >= 1);
  CKMAP_CHECK(0 <= begin && begin <= end && end <= value.shape[axis]);
  Shape shape = value.shape;
  step = std::min(step, std::max<int64_t>(1, end - begin));  // so that no multiple of it overflows
  shape[axis] = (end - begin) / step + ((end - begin) % step != 0 ? 1 : 0);
  if (HasNoElements(shape)) return PieceValue{shape, {}};
  if (begin == 0 && end == value.shape[axis] && step == 1) return value;
  CKMAP_ASSIGN_OR_RETURN(auto resolved, Resolver(value.shape).Resolve(value.pieces));
  CKMAP_ASSIGN_OR_RETURN(const auto cut, Slicer({axis, begin, end, step}).Run(std::move(resolved)));
  return FromResolved(cut, std::move(shape));
}

Result<PieceValue> Concat(const std::vector<PieceValue>& values, size_t axis) {
  CKMAP_CHECK(!values.empty() && axis < values.front().shape.size());
  PieceValue result{values.front().shape, {}};
  result.shape[axis] = 0;
  for (const PieceValue& value : values) result.shape[axis] += value.shape[axis];
  const std::vector<int64_t> strides = RowMajorStrides(result.shape);
  const std::vector<size_t> same = Iota(result.shape.size());
  int64_t begin = 0;
  for (const PieceValue& value : values) {
    if (HasNoElements(value.shape)) continue;
    if (std::all_of(value.shape.begin(), value.shape.begin() + static_cast<ptrdiff_t>(axis),
                    [](int64_t size) { return size == 1; })) {
      // Nothing lies outside the joined axis: the row-major order is simply shifted.
      for (Piece piece : value.pieces) {
        piece.dst_offset += begin * strides[axis];
        result.pieces.push_back(std::move(piece));
      }
    } else {
      CKMAP_ASSIGN_OR_RETURN(auto resolved, Resolver(value.shape).Resolve(value.pieces));
      for (ResolvedPiece& piece : resolved) {
        piece.origin[axis] += begin;
        result.pieces.push_back(Linearize(piece, same, strides));
      }
    }
    begin += value.shape[axis];
    if (result.pieces.size() > kMaxPieces) return TooManyPieces();
  }
  Normalize(result);
  return result;
}

Result<PieceValue> Flip(const PieceValue& value, size_t axis) {
  CKMAP_CHECK(axis < value.shape.size());
  if (HasNoElements(value.shape)) return value;
  CKMAP_ASSIGN_OR_RETURN(auto resolved, Resolver(value.shape).Resolve(value.pieces));
  for (ResolvedPiece& piece : resolved) {
    int64_t last = piece.origin[axis];
    for (ResolvedAxis& move : piece.axes) {
      if (move.dim != axis) continue;
      last += (move.size - 1) * move.step;
      piece.src_offset += (move.size - 1) * move.src_stride;
      move.src_stride = -move.src_stride;
    }
    piece.origin[axis] = value.shape[axis] - 1 - last;
  }
  return FromResolved(resolved, value.shape);
}

Result<PieceValue> Repeat(const PieceValue& value, size_t axis, int64_t times) {
  CKMAP_CHECK(axis < value.shape.size() && times >= 0);
  Shape shape = value.shape;
  shape[axis] *= times;
  if (HasNoElements(shape)) return PieceValue{shape, {}};
  CKMAP_ASSIGN_OR_RETURN(auto resolved, Resolver(value.shape).Resolve(value.pieces));
  for (ResolvedPiece& piece : resolved) {
    piece.origin[axis] *= times;
    for (ResolvedAxis& move : piece.axes) {
      if (move.dim == axis) move.step *= times;
    }
    piece.axes.push_back({times, 0, axis, 1});
  }
  return FromResolved(resolved, std::move(shape));
}

PieceValue Invert(const PieceValue& value, const Shape& input_shape) {
  PieceValue inverse{input_shape, {}};
  for (const Piece& piece : value.pieces) {
    Piece back{0, piece.dst_offset, piece.src_offset, {}};
    for (const PieceAxis& axis : piece.axes) {
      CKMAP_CHECK(axis.src_stride != 0);
      if (axis.src_stride > 0) {
        back.axes.push_back({axis.size, axis.dst_stride, axis.src_stride});
      } else {  // written backwards: start at the other end
        back.dst_offset += (axis.size - 1) * axis.src_stride;
        back.src_offset += (axis.size - 1) * axis.dst_stride;
        back.axes.push_back({axis.size, -axis.dst_stride, -axis.src_stride});
      }
    }
    inverse.pieces.push_back(std::move(back));
  }
  Normalize(inverse);
  return inverse;
}

void Normalize(PieceValue& value) {
  for (Piece& piece : value.pieces) NormalizePiece(piece);
  std::stable_sort(value.pieces.begin(), value.pieces.end(),
                   [](const Piece& a, const Piece& b) { return a.dst_offset < b.dst_offset; });
  std::vector<Piece> merged;
  for (Piece& piece : value.pieces) {
    if (!merged.empty() && Extend(merged.back(), piece)) {
      NormalizePiece(merged.back());
    } else {
      merged.push_back(std::move(piece));
    }
    // What has just grown may now go on where the one before it ended.
    while (merged.size() > 1 && Extend(merged[merged.size() - 2], merged.back())) {
      merged.pop_back();
      NormalizePiece(merged.back());
    }
  }
  value.pieces = std::move(merged);
}

// ---- coverage ----------------------------------------------------------------------------------

namespace {

struct Box {
  std::vector<int64_t> begin, end;
};

// The shape of `count` elements whose row-major strides are those that the pieces move by, as far
// as they divide each other; against it most pieces are plain boxes.
Shape RefinedShape(const std::vector<Piece>& pieces, int64_t count) {
  std::vector<int64_t> strides = {1};
  for (const Piece& piece : pieces) {
    for (const PieceAxis& axis : piece.axes) strides.push_back(axis.dst_stride);
  }
  std::sort(strides.begin(), strides.end());
  strides.erase(std::unique(strides.begin(), strides.end()), strides.end());
  std::vector<int64_t> chain;
  for (const int64_t stride : strides) {
    if (count % stride == 0 && (chain.empty() || stride % chain.back() == 0)) chain.push_back(stride);
  }
  chain.push_back(count);
  Shape shape;
  for (size_t i = chain.size() - 1; i > 0; --i) shape.push_back(chain[i] / chain[i - 1]);
  return shape;
}

// Pieces (their destinations) as boxes of the shape; nested or skipping moves are unrolled.
Result<std::vector<Box>> ToBoxes(const std::vector<Piece>& pieces, const Shape& shape) {
  CKMAP_ASSIGN_OR_RETURN(auto work, Resolver(shape).Resolve(pieces));
  std::vector<Box> boxes;
  while (!work.empty()) {
    ResolvedPiece piece = std::move(work.back());
    work.pop_back();
    std::vector<bool> used(shape.size(), false);
    std::optional<size_t> unroll;
    for (size_t a = 0; a < piece.axes.size(); ++a) {
      if (used[piece.axes[a].dim] || piece.axes[a].step != 1) unroll = a;
      used[piece.axes[a].dim] = true;
    }
    if (unroll) {
      const ResolvedAxis axis = piece.axes[*unroll];
      piece.axes.erase(piece.axes.begin() + static_cast<ptrdiff_t>(*unroll));
      for (int64_t i = 0; i < axis.size; ++i) {
        work.push_back(piece);
        work.back().origin[axis.dim] += i * axis.step;
      }
      if (work.size() + boxes.size() > kMaxPieces) return TooManyPieces();
      continue;
    }
    Box box{piece.origin, piece.origin};
    for (int64_t& end : box.end) ++end;
    for (const ResolvedAxis& axis : piece.axes) box.end[axis.dim] += axis.size - 1;
    boxes.push_back(std::move(box));
  }
  return boxes;
}

bool Disjoint(const Box& a, const Box& b) {
  for (size_t d = 0; d < a.begin.size(); ++d) {
    if (a.end[d] <= b.begin[d] || b.end[d] <= a.begin[d]) return true;
  }
  return false;
}

// Adds to `out` what is left of `box` without `hole`.
void Subtract(Box box, const Box& hole, std::vector<Box>& out) {
  if (Disjoint(box, hole)) {
    out.push_back(std::move(box));
    return;
  }
  for (size_t d = 0; d < box.begin.size(); ++d) {
    if (box.begin[d] < hole.begin[d]) {
      out.push_back(box);
      out.back().end[d] = hole.begin[d];
      box.begin[d] = hole.begin[d];
    }
    if (box.end[d] > hole.end[d]) {
      out.push_back(box);
      out.back().begin[d] = hole.end[d];
      box.end[d] = hole.end[d];
    }
  }
}

// What of `shape` no box covers.
Result<std::vector<Box>> Uncovered(std::vector<Box> boxes, const Shape& shape) {
  std::sort(boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.begin < b.begin; });
  std::vector<Box> left = {{std::vector<int64_t>(shape.size(), 0), shape}};
  std::vector<Box> next;
  for (const Box& box : boxes) {
    next.clear();
    for (Box& part : left) Subtract(std::move(part), box, next);
    left.swap(next);
    if (left.size() > kMaxPieces) return TooManyPieces();
    if (left.empty()) break;
  }
  return left;
}

int64_t LinearBegin(const Box& box, const Shape& shape) {
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  int64_t offset = 0;
  for (size_t d = 0; d < shape.size(); ++d) offset += box.begin[d] * strides[d];
  return offset;
}

// The last element that a box reaches.
int64_t LinearLast(const Box& box, const Shape& shape) {
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  int64_t offset = 0;
  for (size_t d = 0; d < shape.size(); ++d) offset += (box.end[d] - 1) * strides[d];
  return offset;
}

std::string DescribeElement(int64_t offset, const Shape& shape) {
  return FormatShape(Coordinates(offset, shape, RowMajorStrides(shape)));
}

bool IsDense(const Piece& piece, int64_t count) {
  if (piece.dst_offset != 0) return false;
  int64_t stride = 1;
  for (size_t a = piece.axes.size(); a-- > 0;) {
    if (piece.axes[a].dst_stride != stride) return false;
    stride *= piece.axes[a].size;
  }
  return stride == count;
}

}  // namespace

Result<void> CheckTiling(const PieceValue& value) {
  const int64_t count = NumElements(value.shape).value_or(-1);
  CKMAP_CHECK(count >= 0);
  if (count == 0) return {};
  if (value.pieces.size() == 1 && IsDense(value.pieces.front(), count)) return {};
  int64_t written = 0;
  for (const Piece& piece : value.pieces) {
    int64_t last = piece.dst_offset;
    for (const PieceAxis& axis : piece.axes) last += (axis.size - 1) * axis.dst_stride;
    CKMAP_CHECK(piece.dst_offset >= 0 && last < count);
    written += piece.elements();
  }
  const Shape refined = RefinedShape(value.pieces, count);
  CKMAP_ASSIGN_OR_RETURN(std::vector<Box> boxes, ToBoxes(value.pieces, refined));
  CKMAP_ASSIGN_OR_RETURN(const std::vector<Box> holes, Uncovered(std::move(boxes), refined));
  if (!holes.empty()) {
    return Error(ErrorCode::kMismatch, fmt::format("element {} is never written",
                                                   DescribeElement(LinearBegin(holes.front(), refined), value.shape)));
  }
  if (written != count) {
    return Error(ErrorCode::kMismatch, fmt::format("{} elements are written more than once", written - count));
  }
  return {};
}

std::string DescribeUnread(const std::vector<Piece>& pieces, const Shape& shape) {
  const int64_t count = NumElements(shape).value_or(0);
  if (count == 0) return {};
  // The source side, as destinations of the same algebra.
  std::vector<Piece> reads;
  for (const Piece& piece : pieces) {
    Piece read{0, 0, piece.src_offset, {}};
    for (const PieceAxis& axis : piece.axes) {
      if (axis.src_stride == 0) continue;
      if (axis.src_stride < 0) read.dst_offset += (axis.size - 1) * axis.src_stride;
      read.axes.push_back({axis.size, 0, std::abs(axis.src_stride)});
    }
    // Sources do not matter here: neighbours merge by where they read alone.
    NormalizePiece(read);
    if (IsDense(read, count)) return {};
    reads.push_back(std::move(read));
  }
  PieceValue merged{shape, std::move(reads)};
  for (Piece& piece : merged.pieces) {
    piece.src_offset = piece.dst_offset;
    for (PieceAxis& axis : piece.axes) axis.src_stride = axis.dst_stride;
  }
  Normalize(merged);
  const Shape refined = RefinedShape(merged.pieces, count);
  auto boxes = ToBoxes(merged.pieces, refined);
  if (!boxes) return "some elements (too many pieces to say which)";
  const auto left = Uncovered(*std::move(boxes), refined);
  if (!left) return "some elements (too many pieces to say which)";
  if (left->empty()) return {};
  int64_t unread = 0, low = count, high = 0;
  for (const Box& box : *left) {
    int64_t volume = 1;
    for (size_t d = 0; d < box.begin.size(); ++d) volume *= box.end[d] - box.begin[d];
    unread += volume;
    low = std::min(low, LinearBegin(box, refined));
    high = std::max(high, LinearLast(box, refined));
  }
  if (!shape.empty()) {
    const int64_t row = count / shape.front();
    if (low % row == 0 && (high + 1) % row == 0 && unread == high + 1 - low) {
      return low / row == high / row ? fmt::format("row {}", low / row)
                                     : fmt::format("rows {}..{}", low / row, high / row);
    }
  }
  return fmt::format("{} of {} elements, the first at {}", unread, count, DescribeElement(low, shape));
}

}  // namespace ckmap
