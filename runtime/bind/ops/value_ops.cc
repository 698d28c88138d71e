// Computed operations on values: sums and the like of several tensors, and functions, averages,
// norms and sizes of one.
#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/bind/ops/computed_ops.h"

namespace ckmap {

Result<Node> BindPointwise(Operands operands, const OpCall& call, std::string& text) {
  using Kind = PointwiseSpec::Kind;
  text = fmt::format("{}()", call.name());
  const bool subtracts = call.name() == "subtract", divides = call.name() == "divide", two = subtracts || divides;
  CKMAP_RETURN_IF_ERROR(CheckCount(operands, call.name() == "mean" ? 1 : 2, two ? 2 : operands.size(),
                                   two ? "two tensors" : "two tensors or more"));
  Shape shape = operands[0].value.shape;
  for (const TensorValue& operand : operands) {
    if (!Holds(DTypes::kNumbers, operand.dtype))
      return Wrong(fmt::format("{} is {}, and {} takes {}", operand.name, DTypeName(operand.dtype), call.name(),
                               Describe(DTypes::kNumbers)));
    if (operand.value.shape.size() != shape.size())
      return WrongOperands(fmt::format("{} takes tensors of one rank", call.name()), operands);
    if (operand.dtype != operands[0].dtype && call.Find("to") == nullptr)
      return WrongOperands("the dtypes differ: say to=", operands);
    for (size_t k = 0; k < shape.size(); ++k) {
      const int64_t size = operand.value.shape[k];
      if (shape[k] == 1) shape[k] = size;
      if (size != shape[k] && size != 1)
        return WrongOperands(fmt::format("axis {} has sizes that differ, and only one of size 1 is repeated", k),
                             operands);
    }
  }
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(operands[0].dtype));
  if (call.name() == "mean" && IsInteger(dtype)) return Wrong("the mean of integers is no integer: say to=");
  if (divides && IsInteger(dtype)) return Wrong("a quotient is not an integer: say to= with a float");
  for (TensorValue& operand : operands) node.Add(std::move(operand));
  const Kind kind = subtracts               ? Kind::kSubtract
                    : divides               ? Kind::kDivide
                    : call.name() == "sum"  ? Kind::kSum
                    : call.name() == "mean" ? Kind::kMean
                                            : Kind::kMultiply;
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(PointwiseSpec{kind}, std::move(shape), dtype));
  return Node::Leaf(std::move(result));
}

Result<Node> BindMap(Operands operands, const OpCall& call, std::string& text) {
  text = fmt::format("{}()", call.name());
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(operands[0].dtype));
  Shape shape = operands[0].value.shape;
  node.Add(std::move(operands[0]));
  const MapSpec spec{call.name() == "exp" ? MapSpec::Kind::kExp : MapSpec::Kind::kLog};
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(spec, std::move(shape), dtype));
  return Node::Leaf(std::move(result));
}

Result<Node> BindReduceMean(Operands operands, const OpCall& call, std::string& text) {
  Shape shape = operands[0].value.shape;
  CKMAP_ASSIGN_OR_RETURN(const int64_t axis_arg, call.Int("axis", 0));
  CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, shape.size(), operands[0]));
  text = fmt::format("reduce_mean(axis={})", axis);
  if (shape[axis] == 0) return Wrong(fmt::format("axis {} of {} is empty: it has no mean", axis, operands[0].name));
  AverageSpec spec{shape[axis], 1};
  spec.inner = Product(shape, axis + 1, shape.size());
  shape[axis] = 1;
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(operands[0].dtype));
  node.Add(std::move(operands[0]));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(spec, std::move(shape), dtype));
  return Node::Leaf(std::move(result));
}

Result<Node> BindNormalize(Operands operands, const OpCall& call, std::string& text) {
  const Shape& shape = operands[0].value.shape;
  CKMAP_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, call.IntList("axes"));
  RowScaleSpec spec;
  CKMAP_ASSIGN_OR_RETURN(spec.eps, call.Real("eps", 0));
  const std::string mode = call.Text("mode", "l2");
  spec.kind = mode == "l2" ? RowScaleSpec::Kind::kUnitLength : RowScaleSpec::Kind::kStandardize;
  text = fmt::format("normalize({}, axes=[{}], eps={})", mode, fmt::join(axes, ", "), spec.eps);
  if (spec.eps < 0) return Wrong(fmt::format("eps is {}, and cannot be below zero", spec.eps));
  std::vector<bool> inside(shape.size(), false);
  for (const int64_t axis_arg : axes) {
    CKMAP_ASSIGN_OR_RETURN(const size_t axis, Axis(axis_arg, shape.size(), operands[0]));
    if (inside[axis]) return Wrong(fmt::format("axis {} is named twice", axis));
    inside[axis] = true;
  }
  // The axes that are summed over come last, so that each sum is over a row.
  std::vector<size_t> order, back(shape.size());
  for (size_t k = 0; k < shape.size(); ++k)
    if (!inside[k]) order.push_back(k);
  for (size_t k = 0; k < shape.size(); ++k) {
    if (!inside[k]) continue;
    order.push_back(k);
  }
  for (size_t k = 0; k < order.size(); ++k) back[order[k]] = k;
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(operands[0].dtype));
  CKMAP_ASSIGN_OR_RETURN(TensorValue rows, Permuted(std::move(operands[0]), order));
  Shape made = rows.value.shape;
  spec.row = Product(made, made.size() - axes.size(), made.size());
  node.Add(std::move(rows));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(spec, std::move(made), dtype));
  CKMAP_ASSIGN_OR_RETURN(result, Permuted(std::move(result), back));
  return Node::Leaf(std::move(result));
}

Result<Node> BindInterpolate(Operands operands, const OpCall& call, std::string& text) {
  constexpr int64_t kMostPlaces = 1 << 16;
  using Mode = InterpolateSpec::Mode;
  InterpolateSpec spec;
  CKMAP_ASSIGN_OR_RETURN(spec.to, call.IntList("size"));
  CKMAP_ASSIGN_OR_RETURN(spec.align_corners, call.Bool("align_corners", false));
  CKMAP_ASSIGN_OR_RETURN(spec.antialias, call.Bool("antialias", false));
  const std::string mode = call.Text("mode", "");
  text = fmt::format("interpolate(size=[{}], {}{}{})", fmt::join(spec.to, ", "), mode,
                     spec.align_corners ? ", align_corners" : "", spec.antialias ? ", antialias" : "");
  Shape shape = operands[0].value.shape;
  const size_t axes = spec.to.size();
  if (axes < 1 || axes > 2 || axes > shape.size()) {
    return Wrong(fmt::format("{} names {} sizes for the last axes of {}, which has shape {}: one or two", text, axes,
                             operands[0].name, FormatShape(shape)));
  }
  if ((mode == "linear" && axes != 1) || (mode.starts_with("bi") && axes != 2)) {
    return Wrong(fmt::format("{}: linear resizes one axis, bilinear and bicubic two", text));
  }
  spec.mode = mode == "nearest"         ? Mode::kNearest
              : mode == "nearest_exact" ? Mode::kNearestExact
              : mode == "bicubic"       ? Mode::kCubic
                                        : Mode::kLinear;
  const bool nearest = mode.starts_with("nearest");
  if (nearest && (spec.align_corners || spec.antialias))
    return Wrong(fmt::format("{}: the nearest element knows neither corners nor antialias", text));
  if (spec.antialias && axes != 2) return Wrong(fmt::format("{}: antialias is for bilinear and bicubic", text));
  spec.from.assign(shape.end() - static_cast<ptrdiff_t>(axes), shape.end());
  for (size_t k = 0; k < axes; ++k) {
    if (spec.from[k] < 1 || spec.to[k] < 1 || std::max(spec.from[k], spec.to[k]) > kMostPlaces) {
      return Wrong(fmt::format("{} of {}, whose shape is {}: sizes are 1 to {}", text, operands[0].name,
                               FormatShape(shape), kMostPlaces));
    }
    shape[shape.size() - axes + k] = spec.to[k];
  }
  NodeBuilder node(call, text);
  CKMAP_ASSIGN_OR_RETURN(const DType dtype, node.ResultType(operands[0].dtype));
  node.Add(std::move(operands[0]));
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, node.Build(std::move(spec), std::move(shape), dtype));
  return Node::Leaf(std::move(result));
}

}  // namespace ckmap
