#include "runtime/bind/tensor_expr.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/plan/op_table.h"

namespace ckmap {
namespace {

Error Wrong(std::string message) { return {ErrorCode::kMismatch, std::move(message)}; }

// The arguments of one call, evaluated by name.
class Arguments {
 public:
  Arguments(const plan::Op& op, const Scope& scope) : op_(op), scope_(scope) {}

  const plan::Expr* Find(std::string_view name) const {
    for (const plan::Argument& arg : op_.args()) {
      if (arg.name() == name) return &arg.value();
    }
    return nullptr;
  }

  Result<int64_t> Int(std::string_view name, int64_t otherwise) const {
    const plan::Expr* expr = Find(name);
    if (expr == nullptr) return otherwise;
    CKMAP_ASSIGN_OR_RETURN(const int64_t value, EvaluateInt(*expr, scope_));
    return value;
  }

  Result<std::vector<int64_t>> IntList(std::string_view name) const {
    std::vector<int64_t> values;
    const plan::Expr* expr = Find(name);
    if (expr == nullptr) return values;
    if (expr->kind_case() != plan::Expr::kList) {
      CKMAP_ASSIGN_OR_RETURN(const int64_t value, EvaluateInt(*expr, scope_));
      return std::vector<int64_t>{value};
    }
    for (const plan::Expr& item : expr->list().items()) {
      CKMAP_ASSIGN_OR_RETURN(const int64_t value, EvaluateInt(item, scope_));
      values.push_back(value);
    }
    return values;
  }

  std::string Text(std::string_view name, std::string_view otherwise) const {
    const plan::Expr* expr = Find(name);
    return expr == nullptr ? std::string(otherwise) : expr->text();
  }

 private:
  const plan::Op& op_;
  const Scope& scope_;
};

Result<size_t> Axis(int64_t axis, size_t rank, const TensorValue& tensor) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    return Wrong(fmt::format("axis {} is out of range: {} has shape {}", axis, tensor.name,
                             FormatShape(tensor.value.shape)));
  }
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
}

Result<TensorValue> WithPieces(TensorValue tensor, Result<PieceValue> value) {
  if (!value) return std::move(value).error();
  tensor.value = *std::move(value);
  return tensor;
}

// ---- one tensor → one tensor -------------------------------------------------------------------

Result<TensorValue> OpTranspose(TensorValue tensor, const Arguments& args, std::string& text) {
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

Result<TensorValue> OpPermute(TensorValue tensor, const Arguments& args, std::string& text) {
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

Result<TensorValue> OpReshape(TensorValue tensor, const Arguments& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(Shape shape, args.IntList("shape"));
  text = fmt::format("reshape({})", fmt::join(shape, ", "));
  return ReshapeTo(std::move(tensor), std::move(shape));
}

Result<TensorValue> OpFlatten(TensorValue tensor, const Arguments& args, std::string& text) {
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

Result<TensorValue> OpSqueeze(TensorValue tensor, const Arguments& args, std::string& text) {
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

Result<TensorValue> OpUnsqueeze(TensorValue tensor, const Arguments& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size() + 1, tensor));
  text = fmt::format("unsqueeze({})", axis);
  Shape shape = tensor.value.shape;
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), 1);
  return ReshapeTo(std::move(tensor), std::move(shape));
}

Result<TensorValue> OpSlice(TensorValue tensor, const Arguments& args, std::string& text) {
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

bool CanCast(DType from, DType to) {
  const auto plain = [](DType d) {
    return d == DType::kBool || IsInteger(d) || (IsFloat(d) && DTypeBits(d) >= 8 && d != DType::kF4);
  };
  return plain(from) && plain(to);
}

Result<TensorValue> OpCast(TensorValue tensor, const Arguments& args, std::string& text) {
  const std::string to_name = args.Text("to", "");
  const auto to = ParseDType(to_name);
  if (!to || *to == DType::kAny) return Wrong(fmt::format("`{}` is not a dtype", to_name));
  const std::string overflow = args.Text("overflow", "error");
  text = fmt::format("cast({})", to_name);
  if (*to == tensor.dtype) return tensor;
  if (!CanCast(tensor.dtype, *to)) {
    return Wrong(fmt::format("{} is {}, which cannot be cast to {}", tensor.name,
                             DTypeName(tensor.dtype), to_name));
  }
  const CastOp cast{tensor.dtype, *to,
                    overflow == "saturate" ? Overflow::kSaturate
                    : overflow == "inf"    ? Overflow::kInf
                                           : Overflow::kError};
  for (BoundInput& input : tensor.inputs) input.casts.push_back(cast);
  tensor.dtype = *to;
  return tensor;
}

using MapFunction = Result<TensorValue> (*)(TensorValue, const Arguments&, std::string&);

MapFunction FindMap(std::string_view name) {
  if (name == "transpose") return OpTranspose;
  if (name == "permute") return OpPermute;
  if (name == "reshape") return OpReshape;
  if (name == "flatten") return OpFlatten;
  if (name == "squeeze") return OpSqueeze;
  if (name == "unsqueeze") return OpUnsqueeze;
  if (name == "slice") return OpSlice;
  if (name == "cast") return OpCast;
  return nullptr;
}

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
      return Wrong(fmt::format("{} of tensors of different dtypes: {} is {}, {} is {}", op,
                               items.front().tensor.name, DTypeName(joined.tensor.dtype), part.name,
                               DTypeName(part.dtype)));
    }
    const auto offset = static_cast<int32_t>(joined.tensor.inputs.size());
    joined.values.push_back(part.value);
    for (Piece& piece : joined.values.back().pieces) {
      if (piece.input != kFillInput) piece.input += offset;
    }
    joined.tensor.inputs.insert(joined.tensor.inputs.end(), part.inputs.begin(), part.inputs.end());
  }
  return joined;
}

Result<TensorValue> OpConcat(const std::vector<Node>& items, const Arguments& args, bool stack,
                             std::string& text) {
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
                               stack ? "" : fmt::format(" in all axes but {}", axis),
                               items.front().tensor.name, FormatShape(items.front().tensor.value.shape),
                               items[i].tensor.name, FormatShape(items[i].tensor.value.shape)));
    }
  }
  Result<PieceValue> value = Concat(joined.values, axis);
  return WithPieces(std::move(joined.tensor), std::move(value));
}

// ---- one tensor → list -------------------------------------------------------------------------

Result<Node> OpSplit(const TensorValue& tensor, const Arguments& args, size_t parts_hint,
                     std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  CKMAP_ASSIGN_OR_RETURN(std::vector<int64_t> sizes, args.IntList("sizes"));
  const int64_t size = tensor.value.shape[axis];
  if (args.Find("sizes") == nullptr) {
    CKMAP_ASSIGN_OR_RETURN(const int64_t parts, args.Int("parts", static_cast<int64_t>(parts_hint)));
    if (parts < 1 || parts > 1'000'000) {
      return Wrong(fmt::format("split into {} parts: say parts= or sizes=", parts));
    }
    if (size % parts != 0) {
      return Wrong(fmt::format("axis {} of {}, of size {}, does not split in {} equal parts; say sizes=[…]",
                               axis, tensor.name, size, parts));
    }
    sizes.assign(static_cast<size_t>(parts), size / parts);
  }
  text = fmt::format("split(axis={}, sizes=[{}])", axis, fmt::join(sizes, ", "));
  int64_t sum = 0;
  bool negative = false;
  for (const int64_t part : sizes) {
    negative = negative || part < 0 || part > size;
    if (!negative) sum += part;
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

Result<Node> OpUnstack(const TensorValue& tensor, const Arguments& args, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, args.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, tensor.value.shape.size(), tensor));
  text = fmt::format("unstack(axis={})", axis);
  Shape shape = tensor.value.shape;
  shape.erase(shape.begin() + static_cast<ptrdiff_t>(axis));
  if (tensor.value.shape[axis] > 1'000'000) {
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

// Inputs that no piece uses any more (cut away) are dropped, the others renumbered.
void CompactInputs(TensorValue& tensor) {
  std::vector<int32_t> to(tensor.inputs.size(), -1);
  std::vector<BoundInput> kept;
  for (Piece& piece : tensor.value.pieces) {
    if (piece.input == kFillInput) continue;
    int32_t& index = to[static_cast<size_t>(piece.input)];
    if (index < 0) {
      index = static_cast<int32_t>(kept.size());
      kept.push_back(tensor.inputs[static_cast<size_t>(piece.input)]);
    }
    piece.input = index;
  }
  if (!tensor.value.pieces.empty()) tensor.inputs = std::move(kept);
}

// Replaces each tensor (or, for kReduce, each innermost list) of a tree by what `apply` gives.
Result<void> Transform(Node& node, bool innermost_lists, const std::function<Result<Node>(Node)>& apply) {
  const bool hit = innermost_lists
                       ? node.is_list && std::none_of(node.items.begin(), node.items.end(),
                                                      [](const Node& item) { return item.is_list; })
                       : !node.is_list;
  if (hit) {
    CKMAP_ASSIGN_OR_RETURN(node, apply(std::move(node)));
    return {};
  }
  for (Node& item : node.items) CKMAP_RETURN_IF_ERROR(Transform(item, innermost_lists, apply));
  return {};
}

}  // namespace

TensorValue WholeSource(const Manifest& source, size_t index) {
  const TensorInfo& info = source[index];
  TensorValue tensor;
  tensor.value = WholeTensor(0, info.shape);
  tensor.dtype = info.dtype;
  tensor.inputs.push_back({index, {}});
  tensor.name = info.name;
  return tensor;
}

Node Node::Leaf(TensorValue value) {
  Node node;
  node.tensor = std::move(value);
  return node;
}

Node Node::List(std::vector<Node> items) {
  Node node;
  node.is_list = true;
  node.items = std::move(items);
  return node;
}

std::string DescribeStructure(const Node& node) {
  if (!node.is_list) return "a tensor";
  std::string text = fmt::format("a list of {}", node.items.size());
  const Node* at = &node;
  while (!at->items.empty() && at->items.front().is_list) {
    at = &at->items.front();
    text += fmt::format(" lists of {}", at->items.size());
  }
  return text;
}

Result<Node> ApplyOp(const plan::Op& op, Node node, const Scope& scope, size_t parts_hint,
                     std::string* text) {
  const Arguments args(op, scope);
  const OpSpec* spec = FindOp(op.name());
  CKMAP_CHECK(spec != nullptr);  // the plan was validated
  std::string bound;
  std::function<Result<Node>(Node)> apply;
  if (const MapFunction map = FindMap(op.name())) {
    apply = [&, map](Node in) -> Result<Node> {
      CKMAP_ASSIGN_OR_RETURN(TensorValue out, map(std::move(in.tensor), args, bound));
      return Node::Leaf(std::move(out));
    };
  } else if (spec->arity == OpArity::kReduce) {
    if (!node.is_list) {
      return Wrong(fmt::format("{} joins a list, but {} is one tensor", op.name(), node.tensor.name));
    }
    apply = [&](Node in) -> Result<Node> {
      if (in.items.empty()) return Wrong(fmt::format("{} of no tensors", op.name()));
      CKMAP_ASSIGN_OR_RETURN(TensorValue out, OpConcat(in.items, args, op.name() == "stack", bound));
      CompactInputs(out);
      return Node::Leaf(std::move(out));
    };
  } else {
    apply = [&](Node in) -> Result<Node> {
      CKMAP_ASSIGN_OR_RETURN(Node out, op.name() == "split" ? OpSplit(in.tensor, args, parts_hint, bound)
                                                            : OpUnstack(in.tensor, args, bound));
      for (Node& item : out.items) CompactInputs(item.tensor);
      return out;
    };
  }
  CKMAP_RETURN_IF_ERROR(Transform(node, spec->arity == OpArity::kReduce, apply));
  if (text != nullptr) *text = bound;
  return node;
}

}  // namespace ckmap
