#include "runtime/plan/op_table.h"

namespace ckmap {
namespace {

constexpr ArgSpec kPermuteArgs[] = {{"axes", ArgType::kIntList, true, true, "", ""}};
constexpr ArgSpec kTransposeArgs[] = {{"a", ArgType::kInt, false, false, "-2", ""},
                                      {"b", ArgType::kInt, false, false, "-1", ""}};
constexpr ArgSpec kReshapeArgs[] = {{"shape", ArgType::kDims, true, true, "", ""}};
constexpr ArgSpec kSqueezeArgs[] = {{"axis", ArgType::kInt, true, false, "", ""}};
constexpr ArgSpec kUnsqueezeArgs[] = {{"axis", ArgType::kInt, true, false, "", ""}};
constexpr ArgSpec kFlattenArgs[] = {{"begin", ArgType::kInt, false, false, "0", ""},
                                    {"end", ArgType::kInt, false, false, "-1", ""}};
constexpr ArgSpec kSplitArgs[] = {{"axis", ArgType::kInt, true, false, "", ""},
                                  {"parts", ArgType::kInt, false, false, "", ""},
                                  {"sizes", ArgType::kIntList, false, false, "", ""}};
constexpr ArgSpec kAxisArgs[] = {{"axis", ArgType::kInt, true, false, "", ""}};
constexpr ArgSpec kSliceArgs[] = {{"axis", ArgType::kInt, true, false, "", ""},
                                  {"begin", ArgType::kInt, false, false, "0", ""},
                                  {"end", ArgType::kInt, false, false, "the axis' size", ""},
                                  {"step", ArgType::kInt, false, false, "1", ""}};
constexpr ArgSpec kCastArgs[] = {
    {"to", ArgType::kDType, true, false, "", ""},
    {"overflow", ArgType::kWord, false, false, "error", "error|saturate|inf"}};

constexpr OpSpec kOps[] = {
    {"transpose", OpArity::kMap, kTransposeArgs, "itself", "[…, a, b] -> […, b, a]",
     "Swaps two axes: the last two, or those given."},
    {"permute", OpArity::kMap, kPermuteArgs, "the inverse permutation",
     "[a, b, c] | permute(2, 0, 1) -> [c, a, b]",
     "Reorders the axes as numpy's transpose does: new axis i is old axis axes[i]."},
    {"reshape", OpArity::kMap, kReshapeArgs, "reshape to the old shape",
     "[a*b, c] | reshape(a, b, c) -> [a, b, c]",
     "Gives the same elements, in row-major order, another shape; one size may be -1."},
    {"squeeze", OpArity::kMap, kSqueezeArgs, "unsqueeze", "[a, 1] | squeeze(axis=1) -> [a]",
     "Removes an axis of size 1."},
    {"unsqueeze", OpArity::kMap, kUnsqueezeArgs, "squeeze", "[a] | unsqueeze(axis=1) -> [a, 1]",
     "Inserts an axis of size 1, so that it becomes axis `axis` of the result."},
    {"flatten", OpArity::kMap, kFlattenArgs, "reshape to the old shape",
     "[a, b, c] | flatten(begin=1) -> [a, b*c]", "Merges the axes begin to end, both included."},
    {"split", OpArity::kExpand, kSplitArgs, "concat",
     "[a + b, c] | split(axis=0, sizes=[a, b]) -> [a, c], [b, c]",
     "Cuts a tensor along an axis: in `parts` equal parts, or in `sizes`; with neither, in as many "
     "equal parts as the other side of the rule names."},
    {"concat", OpArity::kReduce, kAxisArgs, "split", "[a, c], [b, c] | concat(axis=0) -> [a + b, c]",
     "Joins the tensors of a list along an axis, in order."},
    {"stack", OpArity::kReduce, kAxisArgs, "unstack", "[a], [a] | stack(axis=0) -> [2, a]",
     "Joins the tensors of a list along a new axis."},
    {"unstack", OpArity::kExpand, kAxisArgs, "stack", "[n, a] | unstack(axis=0) -> n times [a]",
     "Cuts a tensor in slices of one along an axis, and removes the axis."},
    {"slice", OpArity::kMap, kSliceArgs, "", "[n, a] | slice(axis=0, begin=2, end=5) -> [3, a]",
     "Keeps the elements begin, begin + step, … before end of an axis. Negative bounds count from the end."},
    {"cast", OpArity::kMap, kCastArgs, "", "the same",
     "Converts the elements (round to nearest, ties to even). A finite value that the new type cannot hold is "
     "an error, the nearest value that it can hold, or infinity."},
};

constexpr FunctionSpec kFunctions[] = {
    {"source_has", 1, 1, true, "whether the source has this tensor"},
    {"target_has", 1, 1, true, "whether the target has this tensor"},
    {"source_rank", 1, 1, true, "number of axes of a source tensor, -1 if there is none"},
    {"target_rank", 1, 1, true, "number of axes of a target tensor, -1 if there is none"},
    {"source_size", 2, 2, true, "size of one axis of a source tensor, -1 if there is none"},
    {"target_size", 2, 2, true, "size of one axis of a target tensor, -1 if there is none"},
    {"min", 1, 16, false, "the least of its arguments"},
    {"max", 1, 16, false, "the greatest of its arguments"},
    {"abs", 1, 1, false, "absolute value"},
    {"ceil_div", 2, 2, false, "a / b, rounded up"},
};

}  // namespace

std::span<const OpSpec> Ops() { return kOps; }

const OpSpec* FindOp(std::string_view name) {
  for (const OpSpec& op : kOps) {
    if (op.name == name) return &op;
  }
  return nullptr;
}

std::span<const FunctionSpec> Functions() { return kFunctions; }

const FunctionSpec* FindFunction(std::string_view name) {
  for (const FunctionSpec& function : kFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

}  // namespace ckmap
