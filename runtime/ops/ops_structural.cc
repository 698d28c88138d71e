#include "runtime/ops/op_rows.h"

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
constexpr ArgSpec kPickArgs[] = {{"axis", ArgType::kInt, true, false, "", ""},
                                 {"indices", ArgType::kIntList, true, false, "", ""}};
constexpr OpError kPickErrors[] = {{"CK0402", "the tensor has no such axis"},
                                   {"CK0412", "the axis has no such index"},
                                   {"CK1209", "the same, seen when the plan is bound"}};
constexpr ArgSpec kPadArgs[] = {{"axis", ArgType::kInt, true, false, "", ""},
                                {"before", ArgType::kInt, false, false, "0", ""},
                                {"after", ArgType::kInt, false, false, "0", ""},
                                {"multiple", ArgType::kInt, false, false, "", ""},
                                {"value", ArgType::kNumber, false, false, "0", ""},
                                {"mode", ArgType::kWord, false, false, "constant", "constant|edge"}};
constexpr ArgSpec kRepeatArgs[] = {{"axis", ArgType::kInt, true, false, "", ""},
                                   {"times", ArgType::kInt, true, false, "", ""},
                                   {"order", ArgType::kWord, true, false, "", "each|whole"}};
constexpr ArgSpec kSelectArgs[] = {{"axis", ArgType::kInt, true, false, "", ""},
                                   {"index", ArgType::kInt, true, false, "", ""}};
constexpr ArgSpec kInterleaveArgs[] = {{"axis", ArgType::kInt, true, false, "", ""},
                                       {"block", ArgType::kInt, false, false, "1", ""}};
constexpr ArgSpec kDeinterleaveArgs[] = {{"axis", ArgType::kInt, true, false, "", ""},
                                         {"parts", ArgType::kInt, false, false, "", ""},
                                         {"block", ArgType::kInt, false, false, "1", ""}};
constexpr ArgSpec kRearrangeArgs[] = {{"pattern", ArgType::kText, true, false, "", ""}};

constexpr OpError kTransposeErrors[] = {{"CK0318", "one axis is given without the other"},
                                        {"CK0402", "the tensor has no such axis"},
                                        {"CK1209", "a tensor of fewer than two axes"}};
constexpr OpError kPermuteErrors[] = {{"CK0403", "the axes are not each axis of the tensor once"}};
constexpr OpError kReshapeErrors[] = {{"CK0405", "the numbers of elements differ, a size is negative, or two are -1"},
                                      {"CK1209", "the sizes that are known only then do not fit"}};
constexpr OpError kSqueezeErrors[] = {{"CK0402", "the tensor has no such axis"},
                                      {"CK0406", "the axis has another size than 1"}};
constexpr ArgSpec kReorderArgs[] = {{"axis", ArgType::kInt, true, false, "", ""},
                                    {"blocks", ArgType::kIntList, true, false, "", ""}};
constexpr OpError kReorderErrors[] = {{"CK0402", "the tensor has no such axis"},
                                      {"CK0403", "`blocks` does not hold each number from 0 on once"},
                                      {"CK0412", "the axis is not made of so many equal blocks"}};
constexpr OpError kAxisErrors[] = {{"CK0402", "the tensor has no such axis"}};
constexpr OpError kSplitErrors[] = {{"CK0318", "both `parts` and `sizes` are given"},
                                    {"CK0402", "the tensor has no such axis"},
                                    {"CK0408", "the axis does not divide, or the sizes do not add up to it"}};
constexpr OpError kJoinErrors[] = {{"CK0306", "there is one tensor and no list"},
                                   {"CK0402", "the tensors have no such axis"},
                                   {"CK0407", "the shapes differ elsewhere than in the joined axis"},
                                   {"CK1209", "the dtypes differ"}};
constexpr OpError kSliceErrors[] = {{"CK0402", "the tensor has no such axis"},
                                    {"CK1209", "begin and end do not lie inside the axis, or step is below 1"}};
constexpr OpError kPadErrors[] = {
    {"CK0318", "`multiple` stands beside `before` or `after`, `value` beside mode=edge, or none says how much"},
    {"CK0402", "the tensor has no such axis"},
    {"CK0412", "a padding below 0, or a multiple below 1"},
    {"CK1209", "the dtype cannot hold `value`, or one tensor would be padded with two numbers"}};
constexpr OpError kRepeatErrors[] = {{"CK0402", "the tensor has no such axis"}, {"CK0412", "`times` is below 1"}};
constexpr OpError kSelectErrors[] = {{"CK0402", "the tensor has no such axis"},
                                     {"CK0412", "the axis has no such index"}};
constexpr OpError kInterleaveErrors[] = {{"CK0306", "there is one tensor and no list"},
                                         {"CK0402", "the tensors have no such axis"},
                                         {"CK0407", "the shapes differ"},
                                         {"CK0412", "the axis is not made of whole blocks"},
                                         {"CK1209", "the dtypes differ"}};
constexpr OpError kDeinterleaveErrors[] = {{"CK0402", "the tensor has no such axis"},
                                           {"CK0408", "the axis is not made of `parts` times whole blocks"},
                                           {"CK0412", "`parts` or `block` is below 1"}};
constexpr OpError kRearrangeErrors[] = {
    {"CK0411", "the notation is wrong: a name twice or on one side only, brackets, an ellipsis on one side, …"},
    {"CK0413", "the shape does not fit: another number of axes, a size that does not divide, two open sizes"}};

constexpr OpSpec kStructuralOps[] = {
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
     .doc = "Gives the same elements, in row-major order, another shape; one size may be -1, and `reshape([])` gives a "
            "scalar.",
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
     .doc = "Merges the axes begin to end, both included. A scalar becomes [1].",
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
     .inverse = "what was cut off is lost; `reorder` puts equal blocks of an axis in another order",
     .shapes = "[n, a] | slice(axis=0, begin=2, end=5) -> [3, a]",
     .doc = "Keeps the elements begin, begin + step, … before end of an axis. Negative bounds count from the end.",
     .errors = kSliceErrors},
    {.name = "select",
     .args = kSelectArgs,
     .undone = Inverse::kNever,
     .inverse = "the other elements are lost",
     .shapes = "[n, a] | select(axis=0, index=2) -> [a]",
     .doc = "Keeps one index of an axis, and removes the axis. A negative index counts from the end.",
     .errors = kSelectErrors},
    {.name = "pick",
     .args = kPickArgs,
     .undone = Inverse::kNever,
     .inverse = "the other elements are lost",
     .shapes = "[n, a] | pick(axis=0, indices=[0, 2, 5]) -> [3, a]",
     .doc =
         "Keeps the indices of an axis that a list names, in the order of the list; one may be named twice. The list "
         "may be a `json` parameter: pruned channels, the classes that stay, a trimmed vocabulary.",
     .errors = kPickErrors},
    {.name = "pad",
     .args = kPadArgs,
     .undone = Inverse::kSometimes,
     .inverse = "a padding with a value falls away, and the reversed plan compares it with the value first; one with "
                "mode=edge is not undone: there is no proof without reading them that all copies are equal",
     .shapes = "[n, a] | pad(axis=0, after=3) -> [n + 3, a]",
     .doc = "Lengthens an axis by `before` and `after` elements, or behind it to a multiple of `multiple`. They get "
            "`value`, in the dtype that the tensor has here, or with mode=edge what the first and the last index of "
            "the axis have.",
     .errors = kPadErrors},
    {.name = "repeat",
     .args = kRepeatArgs,
     .undone = Inverse::kNever,
     .inverse = "no proof without reading them that all copies are equal",
     .shapes = "[a, b] | repeat(axis=0, times=2, order=each) -> [2*a, b]",
     .doc =
         "Repeats along an axis. order=each: every index `times` times in a row, r0 r0 r1 r1 (numpy's repeat, torch's "
         "repeat_interleave). order=whole: all indices, then all again, r0 r1 r0 r1 (numpy's tile, torch's repeat).",
     .errors = kRepeatErrors},
    {.name = "flip",
     .args = kAxisArgs,
     .undone = Inverse::kAlways,
     .inverse = "itself",
     .shapes = "[a, b] | flip(axis=0) -> [a, b]",
     .doc = "Reverses the order along an axis.",
     .errors = kAxisErrors},
    {.name = "reorder",
     .args = kReorderArgs,
     .undone = Inverse::kAlways,
     .inverse = "the inverse order",
     .shapes = "[4*a, b] | reorder(axis=0, blocks=[0, 3, 1, 2]) -> [4*a, b]",
     .doc = "Cuts an axis in equal blocks and puts them in another order: new block i is old block blocks[i]. Gates i, "
            "f, g, o "
            "become i, o, f, g with blocks=[0, 3, 1, 2].",
     .errors = kReorderErrors},
    {.name = "interleave",
     .arity = OpArity::kReduce,
     .args = kInterleaveArgs,
     .undone = Inverse::kAlways,
     .inverse = "deinterleave",
     .shapes = "[a, b], [a, b] | interleave(axis=0) -> [2*a, b]",
     .doc = "Joins equal tensors along an axis, `block` indices of each in turn: x0 y0 x1 y1 …, with block=2 x0 x1 y0 "
            "y1 ….",
     .errors = kInterleaveErrors},
    {.name = "deinterleave",
     .arity = OpArity::kExpand,
     .args = kDeinterleaveArgs,
     .undone = Inverse::kAlways,
     .inverse = "interleave",
     .shapes = "[2*a, b] | deinterleave(axis=0) -> [a, b], [a, b]",
     .doc = "Undoes interleave: deals blocks of `block` indices out to `parts` tensors; without `parts`, to as many as "
            "the "
            "other side of the rule names.",
     .errors = kDeinterleaveErrors},
    {.name = "rearrange",
     .args = kRearrangeArgs,
     .named_sizes = true,
     .undone = Inverse::kAlways,
     .inverse = "the pattern with its sides exchanged",
     .shapes = "[2*a, b] | rearrange(\"(two a) b -> (a two) b\", two=2) -> [2*a, b]",
     .doc = "Names the axes and orders, cuts and merges them in one step, in the notation of einops. Sizes that the "
            "shape does not "
            "tell are given by name; `...` stands for all axes that are not named, `1` for an axis of size 1.",
     .errors = kRearrangeErrors},
};

}  // namespace

std::span<const OpSpec> StructuralOps() { return kStructuralOps; }

}  // namespace ckmap
