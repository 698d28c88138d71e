// Elementwise operations: they leave the pieces alone and lengthen the chains of the inputs.
#include <fmt/format.h>

#include "runtime/bind/op_call.h"

namespace ckmap {
namespace {

bool CanCast(DType from, DType to) {
  const auto plain = [](DType d) {
    return d == DType::kBool || IsInteger(d) || (IsFloat(d) && DTypeBits(d) >= 8 && d != DType::kF4);
  };
  return plain(from) && plain(to);
}

Result<TensorValue> OpCast(TensorValue tensor, const OpCall& args, std::string& text) {
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

}  // namespace

MapFunction FindElementwiseMap(std::string_view name) {
  if (name == "cast") return OpCast;
  return nullptr;
}

}  // namespace ckmap
