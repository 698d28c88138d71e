// Structural operations that join a list of tensors, or make one.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/bind/ops/op_call.h"
#include "runtime/bind/values/fill.h"
#include "runtime/ops/shapes_lists.h"

namespace ckmap {
namespace {

// ---- lists → one tensor ------------------------------------------------------------------------

// Brings several tensors to one list of inputs.
struct Joined {
  TensorValue tensor;
  std::vector<PieceValue> values;
};

Result<Joined> JoinInputs(const std::vector<Node>& items, std::string_view op) {
  Joined joined;
  joined.tensor.dtype = items.front().tensor.dtype;
  joined.tensor.name = fmt::format("the result of {}", op);
  for (const Node& item : items) {
    const TensorValue& part = item.tensor;
    if (part.dtype != joined.tensor.dtype) {
      return Wrong(fmt::format("{} of tensors of different dtypes: {} is {}, {} is {}", op, items.front().tensor.name,
                               DTypeName(joined.tensor.dtype), part.name, DTypeName(part.dtype)));
    }
    const auto offset = static_cast<int32_t>(joined.tensor.inputs.size());
    joined.values.push_back(part.value);
    for (Piece& piece : joined.values.back().pieces) {
      if (piece.input != kFillInput) piece.input += offset;
    }
    if (!part.fill.empty()) CKMAP_RETURN_IF_ERROR(TakeFill(part.fill, joined.tensor));
    joined.tensor.inputs.insert(joined.tensor.inputs.end(), part.inputs.begin(), part.inputs.end());
  }
  return joined;
}

Result<TensorValue> OpJoin(const std::vector<Node>& items, const OpCall& args, std::string& text) {
  const bool stack = args.name() == "stack";
  const std::string_view op = stack ? "stack" : "concat";
  CKMAP_ASSIGN_OR_RETURN(Joined joined, JoinInputs(items, op));
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  const size_t rank = items.front().tensor.value.shape.size() + (stack ? 1 : 0);
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, rank, items.front().tensor));
  text = fmt::format("{}(axis={})", op, axis);
  if (stack) {
    for (PieceValue& value : joined.values) {
      value.shape.insert(value.shape.begin() + static_cast<ptrdiff_t>(axis), 1);
    }
  }
  Shape expected = joined.values.front().shape;
  for (size_t i = 0; i < joined.values.size(); ++i) {
    Shape shape = joined.values[i].shape;
    if (shape.size() == expected.size()) shape[axis] = expected[axis];
    const bool same_axis = !stack || joined.values[i].shape[axis] == 1;
    if (shape != expected || !same_axis) {
      return Wrong(fmt::format("{} needs shapes that agree{}: {} has {}, {} has {}", text,
                               stack ? "" : fmt::format(" in all axes but {}", axis), items.front().tensor.name,
                               FormatShape(items.front().tensor.value.shape), items[i].tensor.name,
                               FormatShape(items[i].tensor.value.shape)));
    }
  }
  expected[axis] = 0;
  for (const PieceValue& value : joined.values) {
    if (__builtin_add_overflow(expected[axis], value.shape[axis], &expected[axis]))
      return Wrong(fmt::format("{} is too large", joined.tensor.name));
  }
  CKMAP_RETURN_IF_ERROR(CheckSize(expected, joined.tensor.dtype, joined.tensor.name));
  Result<PieceValue> value = Concat(joined.values, axis);
  return WithPieces(std::move(joined.tensor), std::move(value));
}

// The shape with axis `axis` cut in two: `outer` times `inner`, which is its size.
Shape CutAxis(const Shape& shape, size_t axis, int64_t outer, int64_t inner) {
  Shape cut = shape;
  cut[axis] = inner;
  cut.insert(cut.begin() + static_cast<ptrdiff_t>(axis), outer);
  return cut;
}

// The shape with axes `axis` and `axis` + 1 as one.
Result<Shape> MergeAxis(Shape shape, size_t axis, std::string_view name) {
  CKMAP_ASSIGN_OR_RETURN(shape[axis], MergedSize(shape, axis, axis + 2, name));
  shape.erase(shape.begin() + static_cast<ptrdiff_t>(axis) + 1);
  return shape;
}

Result<TensorValue> OpInterleave(const std::vector<Node>& items, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(Joined joined, JoinInputs(items, "interleave"));
  const TensorValue& first = items.front().tensor;
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, first.value.shape.size(), first));
  CKMAP_ASSIGN_OR_RETURN(const int64_t block, args.Int("block", 1));
  text = fmt::format("interleave(axis={}{})", axis, block == 1 ? "" : fmt::format(", block={}", block));
  const int64_t size = first.value.shape[axis];
  if (block < 1 || size % block != 0) {
    return Wrong(
        fmt::format("axis {} of {}, of size {}, does not divide in blocks of {}", axis, first.name, size, block));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    PieceValue& value = joined.values[i];
    if (value.shape != first.value.shape) {
      return Wrong(fmt::format("{} needs equal shapes: {} has {}, {} has {}", text, first.name,
                               FormatShape(first.value.shape), items[i].tensor.name, FormatShape(value.shape)));
    }
    if (size == 0) continue;
    CKMAP_ASSIGN_OR_RETURN(value, Reshape(value, CutAxis(value.shape, axis, size / block, block)));
  }
  if (size == 0) {  // nothing to weave
    joined.tensor.value = {first.value.shape, {}};
    return std::move(joined.tensor);
  }
  CKMAP_ASSIGN_OR_RETURN(const PieceValue woven, Concat(joined.values, axis + 1));
  CKMAP_ASSIGN_OR_RETURN(const Shape merged, MergeAxis(woven.shape, axis, joined.tensor.name));
  CKMAP_RETURN_IF_ERROR(CheckSize(merged, joined.tensor.dtype, joined.tensor.name));
  Result<PieceValue> value = Reshape(woven, merged);
  return WithPieces(std::move(joined.tensor), std::move(value));
}

// ---- one tensor → list -------------------------------------------------------------------------

Result<Node> OpSplit(const TensorValue& tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(std::vector<int64_t> sizes, args.IntList("sizes"));
  const int64_t size = tensor.value.shape[axis];
  if (args.Find("sizes") == nullptr) {
    CKMAP_ASSIGN_OR_RETURN(const int64_t parts, args.Int("parts", static_cast<int64_t>(args.parts_hint())));
    if (parts < 1 || parts > kMaxParts) {
      return Wrong(fmt::format("split into {} parts: say parts= or sizes=", parts));
    }
    if (size % parts != 0) {
      return Wrong(fmt::format("axis {} of {}, of size {}, does not split in {} equal parts; say sizes=[…]", axis,
                               tensor.name, size, parts));
    }
    sizes.assign(static_cast<size_t>(parts), size / parts);
  }
  text = fmt::format("split(axis={}, sizes=[{}])", axis, fmt::join(sizes, ", "));
  int64_t sum = 0;
  bool negative = false;
  for (const int64_t part : sizes) {
    negative = negative || part < 0 || part > size;
    negative = negative || __builtin_add_overflow(sum, part, &sum);
  }
  if (negative || sum != size) {
    return Wrong(fmt::format("{} does not add up to axis {} of {}, which is {}", text, axis, tensor.name, size));
  }
  std::vector<Node> items;
  int64_t begin = 0;
  for (const int64_t part : sizes) {
    TensorValue cut = tensor;
    CKMAP_ASSIGN_OR_RETURN(cut.value, Slice(tensor.value, axis, begin, begin + part));
    begin += part;
    items.push_back(Node::Leaf(std::move(cut)));
  }
  return Node::List(std::move(items));
}

Result<Node> OpDeinterleave(const TensorValue& tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(const int64_t block, args.Int("block", 1));
  CKMAP_ASSIGN_OR_RETURN(const int64_t parts, args.Int("parts", static_cast<int64_t>(args.parts_hint())));
  text =
      fmt::format("deinterleave(axis={}, parts={}{})", axis, parts, block == 1 ? "" : fmt::format(", block={}", block));
  const int64_t size = tensor.value.shape[axis];
  int64_t period = 0;
  const bool sane = parts >= 1 && parts <= kMaxParts && block >= 1 && !__builtin_mul_overflow(parts, block, &period);
  if (!sane) return Wrong(fmt::format("{} is not possible: say parts=, and blocks of 1 or more", text));
  if (size % period != 0) {
    return Wrong(fmt::format("axis {} of {}, of size {}, is not made of {} parts in blocks of {}", axis, tensor.name,
                             size, parts, block));
  }
  if (size == 0) return Node::List(std::vector<Node>(static_cast<size_t>(parts), Node::Leaf(tensor)));
  CKMAP_ASSIGN_OR_RETURN(const PieceValue cut,
                         Reshape(tensor.value, CutAxis(tensor.value.shape, axis, size / period, period)));
  std::vector<Node> items;
  for (int64_t i = 0; i < parts; ++i) {
    TensorValue part = tensor;
    CKMAP_ASSIGN_OR_RETURN(const PieceValue value, Slice(cut, axis + 1, i * block, (i + 1) * block));
    CKMAP_ASSIGN_OR_RETURN(const Shape merged, MergeAxis(value.shape, axis, tensor.name));
    CKMAP_ASSIGN_OR_RETURN(part.value, Reshape(value, merged));
    items.push_back(Node::Leaf(std::move(part)));
  }
  return Node::List(std::move(items));
}

Result<Node> OpUnstack(const TensorValue& tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  text = fmt::format("unstack(axis={})", axis);
  Shape shape = tensor.value.shape;
  shape.erase(shape.begin() + static_cast<ptrdiff_t>(axis));
  if (tensor.value.shape[axis] > kMaxParts) {
    return Wrong(fmt::format("unstack of {} into {} tensors", tensor.name, tensor.value.shape[axis]));
  }
  std::vector<Node> items;
  for (int64_t i = 0; i < tensor.value.shape[axis]; ++i) {
    TensorValue cut = tensor;
    CKMAP_ASSIGN_OR_RETURN(const PieceValue row, Slice(tensor.value, axis, i, i + 1));
    CKMAP_ASSIGN_OR_RETURN(cut.value, Reshape(row, shape));
    items.push_back(Node::Leaf(std::move(cut)));
  }
  return Node::List(std::move(items));
}

}  // namespace

ReduceFunction FindListReduce(std::string_view name) {
  if (name == "concat" || name == "stack") return OpJoin;
  if (name == "interleave") return OpInterleave;
  return nullptr;
}

ExpandFunction FindListExpand(std::string_view name) {
  if (name == "split") return OpSplit;
  if (name == "unstack") return OpUnstack;
  if (name == "deinterleave") return OpDeinterleave;
  return nullptr;
}

}  // namespace ckmap
