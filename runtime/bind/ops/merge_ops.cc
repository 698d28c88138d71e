// matmul, lora_merge, and the folding of norms into weights.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/bind/ops/computed_ops.h"

namespace ckmap {
namespace {

// Axis `axis` in front, the others after it in their order.
std::vector<size_t> InFront(size_t axis, size_t rank) {
  std::vector<size_t> order(rank);
  std::iota(order.begin(), order.end(), size_t{0});
  order.erase(order.begin() + static_cast<ptrdiff_t>(axis));
  order.insert(order.begin(), axis);
  return order;
}

std::vector<size_t> InverseOf(const std::vector<size_t>& order) {
  std::vector<size_t> inverse(order.size());
  for (size_t k = 0; k < order.size(); ++k) inverse[order[k]] = k;
  return inverse;
}

// The number of elements at one index of axis 0; -1 if that is no number.
int64_t Inner(const Shape& shape) {
  return shape.empty() ? -1 : NumElements(Shape(shape.begin() + 1, shape.end())).value_or(-1);
}

int64_t Count(const TensorValue& tensor) { return NumElements(tensor.value.shape).value_or(-1); }

}  // namespace

Result<Node> BindMatmul(Operands operands, const OpCall& call, std::string& text) {
  text = "matmul()";
  CKMAP_RETURN_IF_ERROR(CheckCount(operands, 2, 2, "two matrices"));
  CKMAP_RETURN_IF_ERROR(CheckFloats(operands, call));
  const Shape &left = operands[0].value.shape, &right = operands[1].value.shape;
  const size_t rank = left.size();
  bool fits = rank >= 2 && right.size() == rank && left[rank - 1] == right[rank - 2];
  for (size_t k = 0; fits && k + 2 < rank; ++k) fits = left[k] == right[k];
  if (!fits) return WrongOperands("matmul takes […, m, k] and […, k, n]", operands);
  if (operands[0].dtype != operands[1].dtype && call.Find("to") == nullptr) {
    return WrongOperands("the dtypes differ: say to=", operands);
  }
  const ProductSpec spec{left[rank - 2], left[rank - 1], right[rank - 1]};
  Shape shape = left;
  shape.back() = spec.columns;
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(operands[0].dtype));
  for (TensorValue& operand : operands) node.Add(std::move(operand));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(spec, std::move(shape), dtype));
  return Node::Leaf(std::move(result));
}

namespace {

struct LoraSizes {
  int64_t out = 0, in = 0, rank = 0;
};

// Operands: weight, A, B[, magnitude].
Result<LoraSizes> CheckLora(const Operands& operands, const OpCall& call, bool fan_in_first) {
  const Shape& weight = operands[0].value.shape;
  const Shape &a = operands[1].value.shape, &b = operands[2].value.shape;
  if (weight.size() < 2 || (fan_in_first && weight.size() != 2)) {
    return WrongOperands(fan_in_first ? "fan_in_fan_out is for a weight [in, out]" : "the weight has two axes or more",
                         operands);
  }
  const LoraSizes sizes{weight[fan_in_first ? 1 : 0], fan_in_first ? weight[0] : Inner(weight),
                        a.empty() ? 0 : a.front()};
  const bool fits = sizes.rank > 0 && Inner(a) == sizes.in && b.size() >= 2 && b[0] == sizes.out &&
                    b[1] == sizes.rank && Count(operands[2]) == sizes.out * sizes.rank;
  if (!fits) {
    return WrongOperands(fmt::format("a weight [{}] takes lora_A [r, in] and lora_B [out, r], with "
                                     "in = {} and out = {}",
                                     fan_in_first ? "in, out" : "out, in", sizes.in, sizes.out),
                         operands);
  }
  CKMAP_ASSIGN_OR_RETURN(const int64_t said, call.Int("r", sizes.rank));
  if (said != sizes.rank) {
    return WrongOperands(fmt::format("r is {} by the rule, and lora_A has {} rows", said, sizes.rank), operands);
  }
  if (operands.size() == 4 && Count(operands[3]) != sizes.out) {
    return WrongOperands(fmt::format("the magnitude has one element for each of the {} outputs", sizes.out), operands);
  }
  return sizes;
}

}  // namespace

Result<Node> BindLoraMerge(Operands operands, const OpCall& call, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const double alpha, call.Real("alpha", 0));
  CKMAP_ASSIGN_OR_RETURN(const bool root, call.Bool("rslora", false));
  CKMAP_ASSIGN_OR_RETURN(const bool fan_in_first, call.Bool("fan_in_fan_out", false));
  text = fmt::format("lora_merge(alpha={}{}{})", alpha, root ? ", rslora=true" : "",
                     fan_in_first ? ", fan_in_fan_out=true" : "");
  CKMAP_RETURN_IF_ERROR(CheckCount(operands, 3, 4, "the weight, lora_A, lora_B and, for DoRA, the magnitude"));
  CKMAP_RETURN_IF_ERROR(CheckFloats(operands, call));
  CKMAP_ASSIGN_OR_RETURN(const LoraSizes sizes, CheckLora(operands, call, fan_in_first));
  const auto rank = static_cast<double>(sizes.rank);
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(operands[0].dtype));
  const bool dora = operands.size() == 4;
  // The rows of the node are the weight's rows; with a magnitude they are its outputs, which have
  // the lengths.
  const bool turned = dora && fan_in_first;
  const Shape weight = operands[0].value.shape;
  CKMAP_ASSIGN_OR_RETURN(TensorValue matrix,
                         turned ? Permuted(operands[0], {1, 0}) : Reshaped(operands[0], {weight[0], Inner(weight)}));
  CKMAP_ASSIGN_OR_RETURN(TensorValue left, Reshaped(operands[2], {sizes.out, sizes.rank}));
  CKMAP_ASSIGN_OR_RETURN(TensorValue right, Reshaped(operands[1], {sizes.rank, sizes.in}));
  if (fan_in_first && !turned) {
    std::swap(left, right);
    CKMAP_ASSIGN_OR_RETURN(left, Permuted(std::move(left), {1, 0}));
    CKMAP_ASSIGN_OR_RETURN(right, Permuted(std::move(right), {1, 0}));
  }
  const Shape made = matrix.value.shape;
  const LoraMergeSpec spec{made[0], sizes.rank, made[1], alpha / (root ? std::sqrt(rank) : rank)};
  node.Add(std::move(matrix));
  node.Add(std::move(left));
  node.Add(std::move(right));
  if (dora) {
    CKMAP_ASSIGN_OR_RETURN(TensorValue magnitude, Reshaped(operands[3], {sizes.out}));
    node.Add(std::move(magnitude));
  }
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(spec, made, dtype));
  CKMAP_ASSIGN_OR_RETURN(result, turned ? Permuted(std::move(result), {1, 0}) : Reshaped(std::move(result), weight));
  return Node::Leaf(std::move(result));
}

Result<Node> BindWeightNorm(Operands operands, const OpCall& call, std::string& text) {
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, call.Int("axis", 0));
  text = fmt::format("fold_weight_norm(axis={})", axis_arg);
  CKMAP_RETURN_IF_ERROR(CheckCount(operands, 2, 2, "weight_g (the lengths) and weight_v (the directions)"));
  CKMAP_RETURN_IF_ERROR(CheckFloats(operands, call));
  const Shape shape = operands[1].value.shape;
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, shape.size(), operands[1]));
  if (Count(operands[0]) != shape[axis]) {
    return WrongOperands(fmt::format("weight_g has one element for each of the {} of axis {}", shape[axis], axis),
                         operands);
  }
  const std::vector<size_t> order = InFront(axis, shape.size());
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(operands[1].dtype));
  CKMAP_ASSIGN_OR_RETURN(TensorValue directions, Permuted(std::move(operands[1]), order));
  CKMAP_ASSIGN_OR_RETURN(TensorValue lengths, Reshaped(std::move(operands[0]), {shape[axis]}));
  Shape made = directions.value.shape;
  const RowScaleSpec spec{RowScaleSpec::Kind::kWeightNorm, Product(made, 1, made.size()), 0};
  node.Add(std::move(directions));
  node.Add(std::move(lengths));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(spec, std::move(made), dtype));
  CKMAP_ASSIGN_OR_RETURN(result, Permuted(std::move(result), InverseOf(order)));
  return Node::Leaf(std::move(result));
}

namespace {

// The result of fold_batch_norm for the weight or for the bias. Operands: gamma, beta, mean,
// variance[, other].
Result<TensorValue> FoldBatchNorm(const BatchNormSpec& spec, const Operands& norm, const TensorValue* other,
                                  Shape shape, const OpCall& call, const std::string& text, DType otherwise) {
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(otherwise));
  for (const TensorValue& operand : norm) node.Add(operand);
  if (other != nullptr) node.Add(*other);
  return node.Build(spec, std::move(shape), dtype);
}

}  // namespace

Result<Node> BindBatchNorm(Operands operands, const OpCall& call, std::string& text) {
  BatchNormSpec spec;
  CKMAP_ASSIGN_OR_RETURN(spec.eps, call.Real("eps", 0));
  CKMAP_ASSIGN_OR_RETURN(const Shape identity, call.IntList("identity"));
  const std::string gives = call.Text("give", "both");
  text = fmt::format("fold_batch_norm(eps={}{})", spec.eps, gives == "both" ? "" : ", give=" + gives);
  const bool has_weight = identity.empty();
  CKMAP_RETURN_IF_ERROR(
      has_weight ? CheckCount(operands, 5, 6, "the weight, gamma, beta, mean, variance and, if there is one, the bias")
                 : CheckCount(operands, 4, 4, "with identity=, gamma, beta, mean and variance"));
  CKMAP_RETURN_IF_ERROR(CheckFloats(operands, call));
  const Operands norm(operands.begin() + (has_weight ? 1 : 0), operands.begin() + (has_weight ? 5 : 4));
  Shape shape = has_weight ? operands[0].value.shape : identity;
  size_t axis = 0;
  if (has_weight) {
    CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, call.Int("axis", 0));
    CKMAP_ASSIGN_OR_RETURN(axis, Axis(axis_arg, shape.size(), operands[0]));
  } else {
    shape.insert(shape.begin(), Count(norm[0]));
    const bool odd = std::all_of(shape.begin() + 2, shape.end(), [](int64_t size) { return size % 2 == 1; });
    if (shape.size() < 2 || std::any_of(shape.begin() + 1, shape.end(), [](int64_t size) { return size < 1; }) ||
        !odd || shape[0] % std::max<int64_t>(shape[1], 1) != 0) {
      return Wrong(
          fmt::format("identity=[{}]: the channels of a group, which divide the {} of the norm, "
                      "and then odd sizes",
                      fmt::join(identity, ", "), shape[0]));
    }
  }
  spec.channels = shape[axis];
  spec.inner = Product(shape, axis + 1, shape.size());
  spec.plane = has_weight ? 1 : Product(shape, 2, shape.size());
  const bool same =
      std::all_of(operands.begin() + (has_weight ? 1 : 0), operands.end(),
                  [&](const TensorValue& operand) { return operand.value.shape == Shape{spec.channels}; });
  if (!same)
    return WrongOperands(fmt::format("all but the weight have the shape [{}] of its axis {}", spec.channels, axis),
                         operands);
  std::vector<Node> results;
  if (gives != "bias") {
    spec.gives = has_weight ? BatchNormSpec::Gives::kWeight : BatchNormSpec::Gives::kIdentity;
    CKMAP_ASSIGN_OR_RETURN(TensorValue weight, FoldBatchNorm(spec, norm, has_weight ? &operands[0] : nullptr, shape,
                                                             call, text, operands[0].dtype));
    results.push_back(Node::Leaf(std::move(weight)));
  }
  if (gives != "weight") {
    spec.gives = BatchNormSpec::Gives::kBias;
    CKMAP_ASSIGN_OR_RETURN(TensorValue bias, FoldBatchNorm(spec, norm, operands.size() == 6 ? &operands[5] : nullptr,
                                                           {spec.channels}, call, text, operands[0].dtype));
    results.push_back(Node::Leaf(std::move(bias)));
  }
  if (results.size() == 1) return std::move(results.front());
  return Node::List(std::move(results));
}

}  // namespace ckmap
