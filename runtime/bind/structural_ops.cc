// Structural operations on one tensor: pieces in, pieces out.
#include <algorithm>
#include <numeric>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/bind/op_call.h"

namespace ckmap {
namespace {

Result<TensorValue> OpTranspose(TensorValue tensor, const OpCall& args, std::string& text) {
  const size_t rank = tensor.value.shape.size();
  if (rank < 2) {
    return Wrong(fmt::format("{} has shape {}: there are no two axes to swap", tensor.name,
                             FormatShape(tensor.value.shape)));
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
  if (shape.empty()) return ReshapeTo(std::move(tensor), {1});
  CKMAP_ASSIGN_OR_RETURN(const int64_t begin_arg, args.Int("begin", 0));
  CKMAP_ASSIGN_OR_RETURN(const int64_t end_arg, args.Int("end", -1));
  CKMAP_ASSIGN_OR_RETURN(const size_t begin, Axis(begin_arg, shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(const size_t end, Axis(end_arg, shape.size(), tensor));
  if (begin > end) return Wrong(fmt::format("flatten from axis {} to axis {}", begin, end));
  Shape flat(shape.begin(), shape.begin() + static_cast<ptrdiff_t>(begin));
  int64_t merged = 1;
  for (size_t axis = begin; axis <= end; ++axis) merged *= shape[axis];
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

}  // namespace

MapFunction FindStructuralMap(std::string_view name) {
  if (name == "transpose") return OpTranspose;
  if (name == "permute") return OpPermute;
  if (name == "reshape") return OpReshape;
  if (name == "flatten") return OpFlatten;
  if (name == "squeeze") return OpSqueeze;
  if (name == "unsqueeze") return OpUnsqueeze;
  if (name == "slice") return OpSlice;
  return nullptr;
}

}  // namespace ckmap
