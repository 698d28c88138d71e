// Structural operations on one tensor: pieces in, pieces out.
#include <algorithm>
#include <numeric>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/bind/ops/op_call.h"
#include "runtime/bind/ops/rearrange.h"
#include "runtime/bind/values/fill.h"

namespace ckmap {
namespace {

Result<TensorValue> OpTranspose(TensorValue tensor, const OpCall& args, std::string& text) {
  const size_t rank = tensor.value.shape.size();
  if (rank < 2) {
    return Wrong(
        fmt::format("{} has shape {}: there are no two axes to swap", tensor.name, FormatShape(tensor.value.shape)));
  }
  CKMAP_ASSIGN_OR_RETURN(const int64_t a_arg, args.Int("a", -2));
  CKMAP_ASSIGN_OR_RETURN(const int64_t b_arg, args.Int("b", -1));
  CKMAP_ASSIGN_OR_RETURN(const size_t a, Axis(a_arg, rank, tensor));
  CKMAP_ASSIGN_OR_RETURN(const size_t b, Axis(b_arg, rank, tensor));
  std::vector<size_t> order(rank);
  std::iota(order.begin(), order.end(), size_t{0});
  std::swap(order[a], order[b]);
  text = fmt::format("permute({})", fmt::join(order, ", "));
  Result<PieceValue> value = Permute(tensor.value, order);
  return WithPieces(std::move(tensor), std::move(value));
}

Result<TensorValue> OpPermute(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, args.IntList("axes"));
  const size_t rank = tensor.value.shape.size();
  std::vector<size_t> order;
  std::vector<bool> seen(rank, false);
  for (const int64_t axis : axes) {
    CKMAP_ASSIGN_OR_RETURN(const size_t index, Axis(axis, rank, tensor));
    order.push_back(index);
    if (seen[index]) return Wrong(fmt::format("axis {} is named twice in permute", index));
    seen[index] = true;
  }
  text = fmt::format("permute({})", fmt::join(order, ", "));
  if (order.size() != rank) {
    return Wrong(fmt::format("{} names {} axes, {} has shape {}", text, order.size(), tensor.name,
                             FormatShape(tensor.value.shape)));
  }
  Result<PieceValue> value = Permute(tensor.value, order);
  return WithPieces(std::move(tensor), std::move(value));
}

Result<TensorValue> ReshapeTo(TensorValue tensor, Shape shape) {
  const auto have = NumElements(tensor.value.shape);
  std::optional<size_t> open;
  Shape known;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1) {
      if (open) return Wrong("reshape has two sizes of -1");
      open = i;
    } else if (shape[i] < 0) {
      return Wrong(fmt::format("reshape to a size of {}", shape[i]));
    } else {
      known.push_back(shape[i]);
    }
  }
  const auto product = NumElements(known);
  const bool fits = product && (open ? *product != 0 && *have % *product == 0 : *product == *have);
  if (!fits) {
    return Wrong(fmt::format("{} has shape {} ({} elements), which cannot become {}", tensor.name,
                             FormatShape(tensor.value.shape), *have, FormatShape(shape)));
  }
  if (open) shape[*open] = *have / *product;
  Result<PieceValue> value = Reshape(tensor.value, shape);
  return WithPieces(std::move(tensor), std::move(value));
}

Result<TensorValue> OpReshape(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(Shape shape, args.IntList("shape"));
  text = fmt::format("reshape({})", fmt::join(shape, ", "));
  return ReshapeTo(std::move(tensor), std::move(shape));
}

Result<TensorValue> OpFlatten(TensorValue tensor, const OpCall& args, std::string& text) {
  const Shape& shape = tensor.value.shape;
  if (shape.empty() && args.Find("begin") == nullptr && args.Find("end") == nullptr) {  // as in numpy and torch
    text = "reshape(1)";
    return ReshapeTo(std::move(tensor), {1});
  }
  CKMAP_ASSIGN_OR_RETURN(const int64_t begin_arg, args.Int("begin", 0));
  CKMAP_ASSIGN_OR_RETURN(const int64_t end_arg, args.Int("end", -1));
  CKMAP_ASSIGN_OR_RETURN(const size_t begin, Axis(begin_arg, shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(const size_t end, Axis(end_arg, shape.size(), tensor));
  if (begin > end) return Wrong(fmt::format("flatten from axis {} to axis {}", begin, end));
  Shape flat(shape.begin(), shape.begin() + static_cast<ptrdiff_t>(begin));
  CKMAP_ASSIGN_OR_RETURN(const int64_t merged, MergedSize(shape, begin, end + 1, tensor.name));
  flat.push_back(merged);
  flat.insert(flat.end(), shape.begin() + static_cast<ptrdiff_t>(end) + 1, shape.end());
  text = fmt::format("reshape({})", fmt::join(flat, ", "));
  return ReshapeTo(std::move(tensor), std::move(flat));
}

Result<TensorValue> OpSqueeze(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  text = fmt::format("squeeze({})", axis);
  if (tensor.value.shape[axis] != 1) {
    return Wrong(fmt::format("axis {} of {} cannot be squeezed: its shape is {}", axis, tensor.name,
                             FormatShape(tensor.value.shape)));
  }
  Shape shape = tensor.value.shape;
  shape.erase(shape.begin() + static_cast<ptrdiff_t>(axis));
  return ReshapeTo(std::move(tensor), std::move(shape));
}

Result<TensorValue> OpUnsqueeze(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size() + 1, tensor));
  text = fmt::format("unsqueeze({})", axis);
  Shape shape = tensor.value.shape;
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), 1);
  return ReshapeTo(std::move(tensor), std::move(shape));
}

Result<TensorValue> OpSlice(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  const int64_t size = tensor.value.shape[axis];
  CKMAP_ASSIGN_OR_RETURN(int64_t begin, args.Int("begin", 0));
  CKMAP_ASSIGN_OR_RETURN(int64_t end, args.Int("end", size));
  CKMAP_ASSIGN_OR_RETURN(const int64_t step, args.Int("step", 1));
  if (begin < 0) begin += size;
  if (end < 0) end += size;
  text = fmt::format("slice(axis={}, {}:{}{})", axis, begin, end, step == 1 ? "" : fmt::format(":{}", step));
  if (begin < 0 || begin > end || end > size || step < 1) {
    return Wrong(fmt::format("{} does not lie inside {}, whose shape is {}", text, tensor.name,
                             FormatShape(tensor.value.shape)));
  }
  Result<PieceValue> value = Slice(tensor.value, axis, begin, end, step);
  return WithPieces(std::move(tensor), std::move(value));
}

Result<TensorValue> OpSelect(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(const int64_t given, args.Int("index", 0));
  const int64_t size = tensor.value.shape[axis];
  const int64_t index = given < 0 ? given + size : given;
  text = fmt::format("select(axis={}, index={})", axis, index);
  if (index < 0 || index >= size) {
    return Wrong(fmt::format("index {} does not lie inside axis {} of {}, whose shape is {}", given, axis, tensor.name,
                             FormatShape(tensor.value.shape)));
  }
  CKMAP_ASSIGN_OR_RETURN(tensor.value, Slice(tensor.value, axis, index, index + 1));
  Shape shape = tensor.value.shape;
  shape.erase(shape.begin() + static_cast<ptrdiff_t>(axis));
  return ReshapeTo(std::move(tensor), std::move(shape));
}

Result<TensorValue> OpPick(TensorValue tensor, const OpCall& args, std::string& text) {
  constexpr size_t kShown = 8;
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, args.IntList("indices"));
  text = fmt::format(
      "pick(axis={}, indices=[{}{}])", axis,
      fmt::join(indices.begin(), indices.begin() + static_cast<ptrdiff_t>(std::min(indices.size(), kShown)), ", "),
      indices.size() > kShown ? fmt::format(", … {} in all", indices.size()) : "");
  if (indices.empty()) return Wrong(fmt::format("{} keeps nothing of {}", text, tensor.name));
  const int64_t size = tensor.value.shape[axis];
  std::vector<PieceValue> parts;
  for (size_t i = 0; i < indices.size();) {
    const int64_t begin = indices[i];
    if (begin < 0 || begin >= size) {
      return Wrong(fmt::format("index {} does not lie inside axis {} of {}, whose shape is {}", begin, axis,
                               tensor.name, FormatShape(tensor.value.shape)));
    }
    int64_t end = begin + 1;  // a run of indices is one slice
    for (++i; i < indices.size() && indices[i] == end && end < size; ++i) ++end;
    CKMAP_ASSIGN_OR_RETURN(PieceValue part, Slice(tensor.value, axis, begin, end));
    parts.push_back(std::move(part));
  }
  Result<PieceValue> value = Concat(parts, axis);
  return WithPieces(std::move(tensor), std::move(value));
}

Result<TensorValue> OpFlip(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  text = fmt::format("flip(axis={})", axis);
  Result<PieceValue> value = Flip(tensor.value, axis);
  return WithPieces(std::move(tensor), std::move(value));
}

Result<TensorValue> OpReorder(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(const std::vector<int64_t> blocks, args.IntList("blocks"));
  text = fmt::format("reorder(axis={}, blocks=[{}])", axis, fmt::join(blocks, ", "));
  const auto count = static_cast<int64_t>(blocks.size());
  std::vector<bool> seen(blocks.size(), false);
  for (const int64_t block : blocks) {
    if (block < 0 || block >= count || seen[static_cast<size_t>(block)]) {
      return Wrong(fmt::format("{} needs each number from 0 to {} once", text, count - 1));
    }
    seen[static_cast<size_t>(block)] = true;
  }
  const int64_t size = tensor.value.shape[axis];
  if (count == 0 || size % count != 0) {
    return Wrong(
        fmt::format("axis {} of {}, of size {}, is not made of {} equal blocks", axis, tensor.name, size, count));
  }
  const int64_t step = size / count;
  std::vector<PieceValue> parts;
  for (const int64_t block : blocks) {
    CKMAP_ASSIGN_OR_RETURN(PieceValue part, Slice(tensor.value, axis, block * step, (block + 1) * step));
    parts.push_back(std::move(part));
  }
  Result<PieceValue> value = Concat(parts, axis);
  return WithPieces(std::move(tensor), std::move(value));
}

Result<TensorValue> OpRepeat(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(const int64_t times, args.Int("times", 1));
  const std::string order = args.Text("order", "");
  text = fmt::format("repeat(axis={}, times={}, order={})", axis, times, order);
  Shape shape = tensor.value.shape;
  if (times < 1 || __builtin_mul_overflow(shape[axis], times, &shape[axis])) {
    return Wrong(fmt::format("{} cannot be repeated {} times", tensor.name, times));
  }
  CKMAP_RETURN_IF_ERROR(CheckSize(shape, tensor.dtype, tensor.name));
  if (order == "each") {
    Result<PieceValue> value = Repeat(tensor.value, axis, times);
    return WithPieces(std::move(tensor), std::move(value));
  }
  // The whole, one after the other: the copies lie along an axis of their own in front.
  Shape inserted = tensor.value.shape;
  inserted.insert(inserted.begin() + static_cast<ptrdiff_t>(axis), 1);
  CKMAP_ASSIGN_OR_RETURN(PieceValue value, Reshape(tensor.value, inserted));
  CKMAP_ASSIGN_OR_RETURN(value, Repeat(value, axis, times));
  Result<PieceValue> merged = Reshape(value, shape);
  return WithPieces(std::move(tensor), std::move(merged));
}

struct Padding {
  size_t axis = 0;
  int64_t before = 0, after = 0;
};

Result<Padding> ReadPadding(const TensorValue& tensor, const OpCall& args) {
  Padding padding;
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(padding.axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(padding.before, args.Int("before", 0));
  CKMAP_ASSIGN_OR_RETURN(padding.after, args.Int("after", 0));
  if (args.Find("multiple") != nullptr) {
    CKMAP_ASSIGN_OR_RETURN(const int64_t multiple, args.Int("multiple", 1));
    if (multiple < 1) return Wrong(fmt::format("padding to a multiple of {}", multiple));
    const int64_t over = tensor.value.shape[padding.axis] % multiple;
    padding.after = over == 0 ? 0 : multiple - over;
  }
  if (padding.before < 0 || padding.after < 0) {
    return Wrong(fmt::format("a padding of {} before and {} after; use slice to cut", padding.before, padding.after));
  }
  return padding;
}

// `count` copies of the first or the last slice along an axis.
Result<PieceValue> Edge(const PieceValue& value, size_t axis, bool first, int64_t count) {
  const int64_t at = first ? 0 : value.shape[axis] - 1;
  CKMAP_ASSIGN_OR_RETURN(const PieceValue slice, Slice(value, axis, at, at + 1));
  return Repeat(slice, axis, count);
}

Result<TensorValue> OpPad(TensorValue tensor, const OpCall& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const Padding padding, ReadPadding(tensor, args));
  CKMAP_ASSIGN_OR_RETURN(const Number number, args.NumberAsWritten("value", int64_t{0}));
  const bool edge = args.Text("mode", "constant") == "edge";
  text = fmt::format("pad(axis={}, {}:{}, {})", padding.axis, padding.before, padding.after,
                     edge ? std::string("edge") : FormatNumber(number));
  Shape shape = tensor.value.shape;
  int64_t& size = shape[padding.axis];
  if (edge && size == 0) return Wrong(fmt::format("{} has no edge: its shape is {}", tensor.name, FormatShape(shape)));
  if (__builtin_add_overflow(size, padding.before, &size) || __builtin_add_overflow(size, padding.after, &size)) {
    return Wrong("the padding is too large");
  }
  CKMAP_RETURN_IF_ERROR(CheckSize(shape, tensor.dtype, tensor.name));
  if (!edge) CKMAP_RETURN_IF_ERROR(TakeFill(number, tensor));
  std::vector<PieceValue> parts;
  for (const bool first : {true, false}) {
    if (!first) parts.push_back(tensor.value);
    const int64_t count = first ? padding.before : padding.after;
    if (count == 0) continue;
    if (edge) {
      CKMAP_ASSIGN_OR_RETURN(PieceValue part, Edge(tensor.value, padding.axis, first, count));
      parts.push_back(std::move(part));
    } else {
      Shape part = tensor.value.shape;
      part[padding.axis] = count;
      parts.push_back(WholeTensor(kFillInput, part));
    }
  }
  Result<PieceValue> value = Concat(parts, padding.axis);
  return WithPieces(std::move(tensor), std::move(value));
}

}  // namespace

MapFunction FindStructuralMap(std::string_view name) {
  if (name == "transpose") return OpTranspose;
  if (name == "permute") return OpPermute;
  if (name == "reshape") return OpReshape;
  if (name == "flatten") return OpFlatten;
  if (name == "squeeze") return OpSqueeze;
  if (name == "unsqueeze") return OpUnsqueeze;
  if (name == "slice") return OpSlice;
  if (name == "select") return OpSelect;
  if (name == "pick") return OpPick;
  if (name == "flip") return OpFlip;
  if (name == "reorder") return OpReorder;
  if (name == "repeat") return OpRepeat;
  if (name == "pad") return OpPad;
  if (name == "rearrange") return OpRearrange;
  return nullptr;
}

}  // namespace ckmap
