// A piece walks the logical (row-major) elements of a source tensor with strides of its own. The
// source's storage order is given per axis, so a stride in logical elements has to become steps along
// the tensor's axes: it is written in the mixed radix of their sizes, which is linear as long as no
// index carries into the next axis. Pieces that do carry are cut where the carry happens.
#include "runtime/exec/byte_layout.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

// Neighbouring axes of the source that its storage walks as one.
struct Group {
  int64_t size = 1;
  int64_t logical = 1;  // elements of the row-major tensor that one step moves
  int64_t bytes = 0;    // bytes of the storage that one step moves
};

std::vector<Group> GroupAxes(const Shape& shape, const TensorLayout& layout) {
  std::vector<Group> groups;
  const std::vector<int64_t> logical = RowMajorStrides(shape);
  for (size_t k = 0; k < shape.size(); ++k) {
    if (shape[k] == 1) continue;
    const Group group{shape[k], logical[k], layout.strides[k]};
    if (!groups.empty() && groups.back().bytes == group.bytes * group.size) {
      groups.back() = {groups.back().size * group.size, group.logical, group.bytes};
    } else {
      groups.push_back(group);
    }
  }
  return groups;
}

// A piece on its way: src in logical elements, dst in bytes and of either sign.
struct Walk {
  int64_t src = 0;
  int64_t dst = 0;
  std::vector<CopyAxis> axes;  // src strides >= 0
};

class Mapper {
 public:
  explicit Mapper(std::vector<Group> groups) : groups_(std::move(groups)) {}

  // The walk in bytes of the storage, if nothing carries. Otherwise appends what it was cut into to
  // `rest` and returns false.
  bool Map(const Walk& walk, Walk& out, std::vector<Walk>& rest) const {
    std::vector<int64_t> reach(groups_.size());  // the largest index along each group
    out = walk;
    out.src = 0;
    for (size_t g = 0; g < groups_.size(); ++g) {
      reach[g] = Digit(walk.src, g);
      out.src += reach[g] * groups_[g].bytes;
    }
    for (CopyAxis& axis : out.axes) {
      int64_t bytes = 0;
      for (size_t g = 0; g < groups_.size(); ++g) {
        const int64_t step = Digit(axis.src, g);
        bytes += step * groups_[g].bytes;
        reach[g] += step * (axis.size - 1);
      }
      axis.src = bytes;
    }
    for (size_t g = 0; g < groups_.size(); ++g) {
      if (reach[g] >= groups_[g].size) {
        Cut(walk, g, rest);
        return false;
      }
    }
    return true;
  }

 private:
  int64_t Digit(int64_t value, size_t g) const {
    const int64_t quotient = value / groups_[g].logical;
    return g == 0 ? quotient : quotient % groups_[g].size;
  }

  // Cuts the axis that moves furthest along group `g`, which carries.
  void Cut(const Walk& walk, size_t g, std::vector<Walk>& rest) const {
    size_t k = 0;
    int64_t furthest = -1;
    for (size_t i = 0; i < walk.axes.size(); ++i) {
      const int64_t moves = Digit(walk.axes[i].src, g) * (walk.axes[i].size - 1);
      if (moves > furthest) {
        furthest = moves;
        k = i;
      }
    }
    const CopyAxis axis = walk.axes[k];
    const int64_t size = groups_[g].size;
    const int64_t at = Digit(walk.src, g);
    const int64_t step = Digit(axis.src, g);
    CKMAP_CHECK(step > 0 && axis.size > 1);
    const int64_t period = size / step;
    // Where a whole number of steps crosses the group, the axis is two: across and along.
    if (at < step && size % step == 0 && axis.src == step * groups_[g].logical && axis.size > period && period > 1) {
      if (axis.size % period == 0) {
        Walk split = walk;
        split.axes[k] = {axis.size / period, axis.src * period, axis.dst * period};
        split.axes.push_back({period, axis.src, axis.dst});
        rest.push_back(std::move(split));
        return;
      }
      return CutAt(walk, k, axis.size - axis.size % period, rest);
    }
    const int64_t before_carry = (size - at + step - 1) / step;
    CutAt(walk, k, before_carry > 0 && before_carry < axis.size ? before_carry : axis.size / 2, rest);
  }

  static void CutAt(const Walk& walk, size_t k, int64_t at, std::vector<Walk>& rest) {
    Walk head = walk;
    Walk tail = walk;
    head.axes[k].size = at;
    tail.axes[k].size -= at;
    tail.src += at * walk.axes[k].src;
    tail.dst += at * walk.axes[k].dst;
    for (Walk* part : {&head, &tail}) {
      if (part->axes[k].size == 1) part->axes.erase(part->axes.begin() + static_cast<ptrdiff_t>(k));
      rest.push_back(std::move(*part));
    }
  }

  std::vector<Group> groups_;
};

void FlipAxis(int64_t CopyAxis::*stride, Walk& walk) {
  for (CopyAxis& axis : walk.axes) {
    if (axis.*stride >= 0) continue;
    walk.src += (axis.size - 1) * axis.src;
    walk.dst += (axis.size - 1) * axis.dst;
    axis.src = -axis.src;
    axis.dst = -axis.dst;
  }
}

// Puts a walk (src in bytes now) into the form of a Box; where axes of the target interlock, the
// outer one is taken apart.
void AppendBoxes(Walk walk, int32_t input, int64_t element, std::vector<Box>& out) {
  FlipAxis(&CopyAxis::dst, walk);
  std::vector<Walk> queue;
  queue.push_back(std::move(walk));
  while (!queue.empty()) {
    Walk next = std::move(queue.back());
    queue.pop_back();
    next.axes.resize(SimplifyAxes(next.axes));
    int64_t span = element;
    size_t k = next.axes.size();
    while (k > 0 && next.axes[k - 1].dst >= span) {
      span += (next.axes[k - 1].size - 1) * next.axes[k - 1].dst;
      --k;
    }
    if (k == 0) {
      out.push_back({input, next.src, next.dst, std::move(next.axes)});
      continue;
    }
    const CopyAxis axis = next.axes[k - 1];
    next.axes.erase(next.axes.begin() + static_cast<ptrdiff_t>(k - 1));
    for (int64_t i = 0; i < axis.size; ++i) {
      Walk part = next;
      part.src += i * axis.src;
      part.dst += i * axis.dst;
      queue.push_back(std::move(part));
    }
  }
}

Error TooManyParts(std::string_view rule) {
  return {ErrorCode::kLimit, fmt::format("takes more than {} separate strided parts (rule {})", kMaxPieces, rule)};
}

// Where the elements of an input lie: in a storage of the source, or in the row-major result of a node.
struct Place {
  Shape shape;
  DType dtype = DType::kF32;
  TensorLayout layout;
};

Place PlaceOf(const BoundInput& input, const Checkpoint& source) {
  if (input.node == nullptr) {
    const TensorInfo& info = source.manifest()[input.source];
    return {info.shape, info.dtype, source.layout(input.source)};
  }
  Place place{input.node->shape, input.node->dtype, {}};
  place.layout.strides = RowMajorStrides(input.node->shape);
  for (int64_t& stride : place.layout.strides) stride *= DTypeSize(place.dtype);
  return place;
}

// The bytes of a source tensor, in row-major order, as elements of another size: where they lie, if they lie there so.
std::optional<Place> ViewedPlace(const BoundInput& input, const Checkpoint& source) {
  Place place = PlaceOf(input, source);
  TensorLayout& layout = place.layout;
  if (layout.byteswap || layout.conjugate || layout.negative) return std::nullopt;
  const int64_t from = DTypeSize(place.dtype), to = DTypeSize(input.view);
  place.dtype = input.view;
  if (to < from) {
    place.shape.push_back(from / to);
    layout.strides.push_back(to);
    return place;
  }
  const std::vector<int64_t> dense = RowMajorStrides(place.shape);
  for (size_t k = 0; k < dense.size(); ++k) {
    if (place.shape[k] != 1 && layout.strides[k] != dense[k] * from) return std::nullopt;
  }
  place.shape = {NumElements(place.shape).value_or(0) / (to / from)};
  layout.strides = {to};
  return place;
}

// A source tensor whose bytes are put in order first, and then taken as elements of another size.
std::shared_ptr<const ComputedNode> InOrder(const BoundInput& input, const Checkpoint& source) {
  const TensorInfo& info = source.manifest()[input.source];
  const int64_t bytes = *NumBytes(info.shape, info.dtype);
  ComputedNode node{.text = fmt::format("bitcast({})", DTypeName(input.view)),
                    .spec = BitcastSpec{},
                    .operands = {{.value = WholeTensor(0, info.shape),
                                  .dtype = info.dtype,
                                  .inputs = {{.source = input.source}},
                                  .fill = {}}},
                    .names = {info.name},
                    .shape = {bytes / DTypeSize(input.view)},
                    .dtype = input.view};
  return std::make_shared<const ComputedNode>(std::move(node));
}

// An input where its elements lie. One whose bytes are not in order becomes a node.
struct PlacedInput {
  BoundInput input;
  Place place;
};

PlacedInput PlaceInput(BoundInput input, const Checkpoint& source) {
  if (input.view == DType::kAny) {
    Place place = PlaceOf(input, source);
    return {std::move(input), std::move(place)};
  }
  CKMAP_CHECK(input.node == nullptr);
  if (auto viewed = ViewedPlace(input, source)) return {std::move(input), *std::move(viewed)};
  input.node = InOrder(input, source);
  input.view = DType::kAny;
  Place place = PlaceOf(input, source);
  return {std::move(input), std::move(place)};
}

// A dtype of 4 or 6 bits: each piece must be one run of whole bytes on both sides.
Result<void> LowerPacked(const PiecedTensor& tensor, const Checkpoint& source, std::string_view rule,
                         LoweredTensor& out) {
  const int64_t bits = DTypeBits(tensor.dtype);
  out.element = 1;
  for (const Piece& piece : tensor.value.pieces) {
    Piece run = piece;
    std::erase_if(run.axes, [](const PieceAxis& axis) { return axis.size == 1; });
    const bool unit =
        run.axes.empty() || (run.axes.size() == 1 && run.axes[0].src_stride == 1 && run.axes[0].dst_stride == 1);
    if (!unit || piece.input == kFillInput || piece.src_offset * bits % 8 != 0 || piece.dst_offset * bits % 8 != 0 ||
        piece.elements() * bits % 8 != 0) {
      return Error(ErrorCode::kMismatch, fmt::format("{} elements are smaller than a byte, such tensors can only be "
                                                     "copied whole (rule {})",
                                                     DTypeName(tensor.dtype), rule));
    }
    const TensorLayout layout = PlaceOf(tensor.inputs[static_cast<size_t>(piece.input)], source).layout;
    const int64_t bytes = piece.elements() * bits / 8;
    Box box{piece.input, layout.offset + piece.src_offset * bits / 8, piece.dst_offset * bits / 8, {}};
    if (bytes > 1) box.axes.push_back({bytes, 1, 1});
    out.boxes.push_back(std::move(box));
  }
  for (LoweredInput& input : out.inputs) {
    input.element = 1;
    input.chain = ElementChain{DType::kU8, DType::kU8, false, false, false, {}};
  }
  return {};
}

Result<void> LowerPiece(const Piece& piece, const Mapper* mapper, std::string_view rule, LoweredTensor& out) {
  Walk walk{piece.src_offset, piece.dst_offset * out.element, {}};
  for (const PieceAxis& axis : piece.axes) {
    if (axis.size == 0) return {};
    if (axis.size != 1) walk.axes.push_back({axis.size, axis.src_stride, axis.dst_stride * out.element});
  }
  if (piece.input == kFillInput) {
    for (CopyAxis& axis : walk.axes) axis.src = 0;
    walk.src = 0;
    AppendBoxes(std::move(walk), piece.input, out.element, out.boxes);
    return {};
  }
  FlipAxis(&CopyAxis::src, walk);
  std::vector<Walk> queue;
  queue.push_back(std::move(walk));
  while (!queue.empty()) {
    const Walk next = std::move(queue.back());
    queue.pop_back();
    Walk mapped;
    if (mapper->Map(next, mapped, queue)) {
      AppendBoxes(std::move(mapped), piece.input, out.element, out.boxes);
    }
    if (out.boxes.size() + queue.size() > kMaxPieces) return TooManyParts(rule);
  }
  return {};
}

// What the executor relies on for memory safety.
void CheckBounds(const LoweredTensor& tensor, const Checkpoint& source) {
  for (const Box& box : tensor.boxes) {
    CKMAP_CHECK(box.dst >= 0 && box.dst + box.DstSpan(tensor.element) <= tensor.bytes);
    if (box.input == kFillInput) continue;
    const LoweredInput& input = tensor.inputs[static_cast<size_t>(box.input)];
    int64_t begin = box.src;
    int64_t end = box.src + input.element;
    for (const CopyAxis& axis : box.axes) {
      (axis.src < 0 ? begin : end) += (axis.size - 1) * axis.src;
    }
    const int64_t size = input.node != nullptr ? *NumBytes(input.node->node->shape, input.node->node->dtype)
                                               : source.storage_bytes(input.storage);
    CKMAP_CHECK(begin >= 0 && end <= size);
  }
}

Result<LoweredInput> LowerInput(const PlacedInput& placed, const PiecedTensor& tensor, const Checkpoint& source,
                                std::string_view rule) {
  LoweredInput lowered;
  const BoundInput& input = placed.input;
  const Place& place = placed.place;
  if (input.node == nullptr) {
    const TensorInfo& info = source.manifest()[input.source];
    if (!info.unreadable.empty()) {
      return Error(ErrorCode::kMismatch, fmt::format("source tensor `{}`: {}", EscapeText(info.name), info.unreadable));
    }
    lowered.source = input.source;
    lowered.storage = place.layout.storage;
  } else {
    LoweredNode node{input.node, {}};
    for (const PiecedTensor& operand : input.node->operands) {
      CKMAP_ASSIGN_OR_RETURN(LoweredTensor part, LowerTensor(operand, source, rule));
      node.operands.push_back(std::move(part));
    }
    lowered.node = std::make_shared<const LoweredNode>(std::move(node));
  }
  if (DTypeBits(tensor.dtype) % 8 == 0) {
    lowered.element = DTypeSize(place.dtype);
    CKMAP_ASSIGN_OR_RETURN(lowered.chain, MakeElementChain(place.dtype, input.casts, tensor.dtype, place.layout));
  }
  return lowered;
}

}  // namespace

Result<LoweredTensor> LowerTensor(const PiecedTensor& tensor, const Checkpoint& source, std::string_view rule) {
  LoweredTensor out;
  const auto bytes = NumBytes(tensor.value.shape, tensor.dtype);
  CKMAP_CHECK(bytes.has_value());
  out.bytes = *bytes;
  out.fill = tensor.fill;
  const bool packed = DTypeBits(tensor.dtype) % 8 != 0;
  out.element = packed ? 1 : DTypeSize(tensor.dtype);
  std::vector<Place> places;
  for (const BoundInput& input : tensor.inputs) {
    PlacedInput placed = PlaceInput(input, source);
    CKMAP_ASSIGN_OR_RETURN(LoweredInput lowered, LowerInput(placed, tensor, source, rule));
    out.inputs.push_back(std::move(lowered));
    places.push_back(std::move(placed.place));
  }
  if (out.bytes == 0) return out;
  if (packed) {
    CKMAP_RETURN_IF_ERROR(LowerPacked(tensor, source, rule, out));
  } else {
    std::vector<Mapper> mappers;
    std::vector<int64_t> offsets;
    for (const Place& place : places) {
      mappers.emplace_back(GroupAxes(place.shape, place.layout));
      offsets.push_back(place.layout.offset);
    }
    for (const Piece& piece : tensor.value.pieces) {
      const Mapper* mapper = piece.input == kFillInput ? nullptr : &mappers[static_cast<size_t>(piece.input)];
      CKMAP_RETURN_IF_ERROR(LowerPiece(piece, mapper, rule, out));
    }
    for (Box& box : out.boxes) {
      if (box.input != kFillInput) box.src += offsets[static_cast<size_t>(box.input)];
    }
  }
  CheckBounds(out, source);
  return out;
}

}  // namespace ckmap
