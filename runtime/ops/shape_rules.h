// The shape rules of all operations, by name.
#pragma once

#include "runtime/ops/shapes_computed.h"
#include "runtime/ops/shapes_lists.h"
#include "runtime/ops/shapes_structural.h"

namespace ckmap {

template <typename Size>
struct NamedShapeRule {
  std::string_view op;
  ShapeRule<Size> rule;
};

template <typename Size>
inline constexpr NamedShapeRule<Size> kShapeRules[] = {
    {"transpose", TransposeShape<Size>},
    {"permute", PermuteShape<Size>},
    {"reshape", ReshapeShape<Size>},
    {"squeeze", SqueezeShape<Size>},
    {"unsqueeze", UnsqueezeShape<Size>},
    {"flatten", FlattenShape<Size>},
    {"split", SplitShape<Size>},
    {"concat", ConcatShape<Size>},
    {"stack", StackShape<Size>},
    {"unstack", UnstackShape<Size>},
    {"slice", SliceShape<Size>},
    {"select", SelectShape<Size>},
    {"pad", PadShape<Size>},
    {"repeat", RepeatShape<Size>},
    {"flip", FlipShape<Size>},
    {"interleave", InterleaveShape<Size>},
    {"deinterleave", DeinterleaveShape<Size>},
    {"rearrange", RearrangeShape<Size>},
    {"cast", SameShape<Size>},
    {"scale", SameShape<Size>},
    {"add", SameShape<Size>},
    {"neg", SameShape<Size>},
    {"bitcast", BitcastShape<Size>},
    {"byteswap", SameShape<Size>},
    {"reorder", ReorderShape<Size>},
    {"matmul", MatmulShape<Size>},
    {"lora_merge", LoraMergeShape<Size>},
    {"fold_weight_norm", WeightNormShape<Size>},
    {"dequantize", DequantizeShape<Size>},
    {"quantize", QuantizeShape<Size>},
    {"absmax", AbsmaxShape<Size>},
    {"fold_batch_norm", BatchNormShape<Size>},
    {"sum", SumShape<Size>},
    {"subtract", SubtractShape<Size>},
    {"multiply", SumShape<Size>},
    {"divide", SubtractShape<Size>},
    {"unpack", UnpackShape<Size>},
    {"pack", PackShape<Size>},
    {"constant", ConstantShape<Size>},
    {"decode", SameShape<Size>},
    {"take", TakeShape<Size>},
    {"mean", MeanShape<Size>},
    {"pick", PickShape<Size>},
    {"reduce_mean", ReduceMeanShape<Size>},
    {"interpolate", InterpolateShape<Size>},
    {"normalize", NormalizeShape<Size>},
    {"exp", SameShape<Size>},
    {"log", SameShape<Size>},
};

// nullptr: there is no such operation.
template <typename Size>
ShapeRule<Size> FindShapeRule(std::string_view op) {
  for (const NamedShapeRule<Size>& row : kShapeRules<Size>) {
    if (row.op == op) return row.rule;
  }
  return nullptr;
}

}  // namespace ckmap
