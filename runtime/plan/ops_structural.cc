#include "runtime/plan/op_rows.h"

namespace ckmap {
namespace {

constexpr ArgSpec kPermuteArgs[] = {{"axes", ArgType::kIntList, true, true, "", ""}};
constexpr ArgSpec kTransposeArgs[] = {{"a", ArgType::kInt, false, false, "-2", ""},
                                      {"b", ArgType::kInt, false, false, "-1", ""}};
constexpr ArgSpec kReshapeArgs[] = {{"shape", ArgType::kDims, true, true, "", ""}};
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

constexpr OpError kTransposeErrors[] = {
    {"CK0318", "one axis is given without the other"},
    {"CK0402", "the tensor has no such axis"},
    {"CK1209", "a tensor of fewer than two axes"}};
constexpr OpError kPermuteErrors[] = {{"CK0403", "the axes are not each axis of the tensor once"}};
constexpr OpError kReshapeErrors[] = {
    {"CK0405", "the numbers of elements differ, a size is negative, or two are -1"},
    {"CK1209", "the sizes that are known only then do not fit"}};
constexpr OpError kSqueezeErrors[] = {{"CK0402", "the tensor has no such axis"},
                                      {"CK0406", "the axis has another size than 1"}};
constexpr OpError kAxisErrors[] = {{"CK0402", "the tensor has no such axis"}};
constexpr OpError kSplitErrors[] = {
    {"CK0318", "both `parts` and `sizes` are given"},
    {"CK0402", "the tensor has no such axis"},
    {"CK0408", "the axis does not divide, or the sizes do not add up to it"}};
constexpr OpError kJoinErrors[] = {
    {"CK0306", "there is one tensor and no list"},
    {"CK0402", "the tensors have no such axis"},
    {"CK0407", "the shapes differ elsewhere than in the joined axis"},
    {"CK1209", "the dtypes differ"}};
constexpr OpError kSliceErrors[] = {{"CK0402", "the tensor has no such axis"},
                                    {"CK1209", "begin and end do not lie inside the axis, or step is below 1"}};

constexpr OpSpec kOps[] = {
    {.name = "transpose",
     .args = kTransposeArgs,
     .undone = Inverse::kAlways,
     .inverse = "itself",
     .shapes = "[…, a, b] | transpose() -> […, b, a]",
     .doc = "Swaps two axes: the last two, or those given.",
     .errors = kTransposeErrors},
    {.name = "permute",
     .args = kPermuteArgs,
     .undone = Inverse::kAlways,
     .inverse = "the inverse permutation",
     .shapes = "[a, b, c] | permute(2, 0, 1) -> [c, a, b]",
     .doc = "Reorders the axes as numpy's transpose does: new axis i is old axis axes[i].",
     .errors = kPermuteErrors},
    {.name = "reshape",
     .args = kReshapeArgs,
     .undone = Inverse::kAlways,
     .inverse = "reshape to the old shape",
     .shapes = "[a*b, c] | reshape(a, b, c) -> [a, b, c]",
     .doc = "Gives the same elements, in row-major order, another shape; one size may be -1.",
     .errors = kReshapeErrors},
    {.name = "squeeze",
     .args = kAxisArgs,
     .undone = Inverse::kAlways,
     .inverse = "unsqueeze",
     .shapes = "[a, 1] | squeeze(axis=1) -> [a]",
     .doc = "Removes an axis of size 1.",
     .errors = kSqueezeErrors},
    {.name = "unsqueeze",
     .args = kAxisArgs,
     .undone = Inverse::kAlways,
     .inverse = "squeeze",
     .shapes = "[a] | unsqueeze(axis=1) -> [a, 1]",
     .doc = "Inserts an axis of size 1, so that it becomes axis `axis` of the result.",
     .errors = kAxisErrors},
    {.name = "flatten",
     .args = kFlattenArgs,
     .undone = Inverse::kAlways,
     .inverse = "reshape to the old shape",
     .shapes = "[a, b, c] | flatten(begin=1) -> [a, b*c]",
     .doc = "Merges the axes begin to end, both included.",
     .errors = kAxisErrors},
    {.name = "split",
     .arity = OpArity::kExpand,
     .args = kSplitArgs,
     .undone = Inverse::kAlways,
     .inverse = "concat",
     .shapes = "[a + b, c] | split(axis=0, sizes=[a, b]) -> [a, c], [b, c]",
     .doc = "Cuts a tensor along an axis: in `parts` equal parts, or in `sizes`; with neither, in as many "
            "equal parts as the other side of the rule names.",
     .errors = kSplitErrors},
    {.name = "concat",
     .arity = OpArity::kReduce,
     .args = kAxisArgs,
     .undone = Inverse::kAlways,
     .inverse = "split",
     .shapes = "[a, c], [b, c] | concat(axis=0) -> [a + b, c]",
     .doc = "Joins the tensors of a list along an axis, in order.",
     .errors = kJoinErrors},
    {.name = "stack",
     .arity = OpArity::kReduce,
     .args = kAxisArgs,
     .undone = Inverse::kAlways,
     .inverse = "unstack",
     .shapes = "[a], [a] | stack(axis=0) -> [2, a]",
     .doc = "Joins the tensors of a list along a new axis.",
     .errors = kJoinErrors},
    {.name = "unstack",
     .arity = OpArity::kExpand,
     .args = kAxisArgs,
     .undone = Inverse::kAlways,
     .inverse = "stack",
     .shapes = "[n, a] | unstack(axis=0) -> n times [a]",
     .doc = "Cuts a tensor in slices of one along an axis, and removes the axis.",
     .errors = kAxisErrors},
    {.name = "slice",
     .args = kSliceArgs,
     .undone = Inverse::kNever,
     .inverse = "what was cut off is lost",
     .shapes = "[n, a] | slice(axis=0, begin=2, end=5) -> [3, a]",
     .doc = "Keeps the elements begin, begin + step, … before end of an axis. Negative bounds count from the end.",
     .errors = kSliceErrors},
};

}  // namespace

std::span<const OpSpec> StructuralOps() { return kOps; }

}  // namespace ckmap
