#include "runtime/bind/ops/computed_ops.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ckmap {
namespace {

Overflow ParseOverflow(const std::string& text) {
  return text == "saturate" ? Overflow::kSaturate : text == "inf" ? Overflow::kInf : Overflow::kError;
}

bool HasInfinity(DType dtype) {
  return IsFloat(dtype) && dtype != DType::kF8E4M3 && dtype != DType::kF8E4M3Fnuz && dtype != DType::kF8E5M2Fnuz;
}

}  // namespace

void NodeBuilder::Add(TensorValue operand) {
  node_.names.push_back(std::move(operand.name));
  node_.operands.push_back(std::move(operand));
}

Result<DType> NodeBuilder::ResultType(DType otherwise) const {
  const std::string to = call_.Text("to", "");
  const DType dtype = to.empty() ? otherwise : ParseDType(to).value_or(DType::kAny);
  if (Holds(DTypes::kNumbers, dtype) && dtype != DType::kF8E8M0) return dtype;
  return Wrong(fmt::format("{} computes numbers, and {} has none that it can write: say to=", call_.name(),
                           to.empty() ? DTypeName(dtype) : to));
}

Result<TensorValue> NodeBuilder::Build(decltype(ComputedNode::spec) spec, Shape shape, DType dtype,
                                       std::string overflow) {
  node_.text = text_;
  node_.spec = std::move(spec);
  node_.shape = std::move(shape);
  node_.dtype = dtype;
  node_.overflow = ParseOverflow(call_.Text("overflow", overflow));
  if (node_.overflow == Overflow::kInf && !HasInfinity(dtype)) {
    return Wrong(fmt::format("overflow=inf: {} has no infinity", DTypeName(dtype)));
  }
  CKMAP_ASSIGN_OR_RETURN(TensorValue result, ComputedTensor(std::move(node_)));
  result.name = fmt::format("the result of {}", call_.name());
  return result;
}

Result<TensorValue> ComputedTensor(ComputedNode node) {
  CKMAP_RETURN_IF_ERROR(CheckSize(node.shape, node.dtype, node.text));
  for (const PiecedTensor& operand : node.operands) node.depth = std::max(node.depth, ComputedDepth(operand) + 1);
  if (node.depth > kMaxComputedDepth) {
    return Error(ErrorCode::kLimit,
                 fmt::format("computed operations nest {} deep, and {} is the limit", node.depth, kMaxComputedDepth));
  }
  TensorValue result;
  result.value = WholeTensor(0, node.shape);
  result.dtype = node.dtype;
  result.inputs.push_back({0, {}, std::make_shared<const ComputedNode>(std::move(node))});
  return result;
}

std::string DescribeOperand(const TensorValue& tensor) {
  return fmt::format("{} is {} {}", tensor.name, DTypeName(tensor.dtype), FormatShape(tensor.value.shape));
}

Error WrongOperands(const std::string& why, const std::vector<TensorValue>& operands) {
  std::vector<std::string> shown;
  for (const TensorValue& operand : operands) shown.push_back(DescribeOperand(operand));
  return Wrong(fmt::format("{}: {}", why, fmt::join(shown, ", ")));
}

Result<void> CheckCount(const std::vector<TensorValue>& operands, size_t least, size_t most, std::string_view names) {
  if (operands.size() >= least && operands.size() <= most) return {};
  return WrongOperands(fmt::format("the operands are {}, and there are {}", names, operands.size()), operands);
}

Result<void> CheckFloats(const std::vector<TensorValue>& operands, const OpCall& call) {
  for (const TensorValue& operand : operands) {
    if (Holds(DTypes::kFloats, operand.dtype)) continue;
    return Wrong(fmt::format("{} is {}, and {} takes {}", operand.name, DTypeName(operand.dtype), call.name(),
                             Describe(DTypes::kFloats)));
  }
  return {};
}

int64_t Product(const Shape& shape, size_t begin, size_t end) {
  int64_t product = 1;
  for (size_t k = begin; k < end; ++k) {
    const int64_t size = std::max<int64_t>(shape[k], 1);
    if (__builtin_mul_overflow(product, size, &product)) return std::numeric_limits<int64_t>::max();
  }
  return product;
}

Result<TensorValue> Reshaped(TensorValue tensor, const Shape& shape) {
  Result<PieceValue> value = Reshape(tensor.value, shape);
  return WithPieces(std::move(tensor), std::move(value));
}

Result<TensorValue> Permuted(TensorValue tensor, const std::vector<size_t>& order) {
  Result<PieceValue> value = Permute(tensor.value, order);
  return WithPieces(std::move(tensor), std::move(value));
}

ComputeFunction FindComputed(std::string_view name) {
  if (name == "dequantize") return BindDequantize;
  if (name == "quantize") return BindQuantize;
  if (name == "absmax") return BindAbsmax;
  if (name == "matmul") return BindMatmul;
  if (name == "lora_merge") return BindLoraMerge;
  if (name == "fold_weight_norm") return BindWeightNorm;
  if (name == "fold_batch_norm") return BindBatchNorm;
  if (name == "sum" || name == "subtract" || name == "multiply" || name == "mean" || name == "divide")
    return BindPointwise;
  if (name == "unpack") return BindUnpack;
  if (name == "pack") return BindPack;
  if (name == "constant") return BindConstant;
  if (name == "decode") return BindDecode;
  if (name == "take") return BindTake;
  if (name == "exp" || name == "log") return BindMap;
  if (name == "reduce_mean") return BindReduceMean;
  if (name == "normalize") return BindNormalize;
  if (name == "interpolate") return BindInterpolate;
  return nullptr;
}

}  // namespace ckmap
