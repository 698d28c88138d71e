#include "runtime/ops/op_rows.h"

namespace ckmap {
namespace {

// What every computed operation can be told, after its own arguments.
#define CKMAP_RESULT_ARGS                                                   \
  {"to", ArgType::kDType, false, false, "", ""}, {                          \
    "overflow", ArgType::kWord, false, false, "error", "error|saturate|inf" \
  }

constexpr ArgSpec kResultArgs[] = {CKMAP_RESULT_ARGS};
constexpr ArgSpec kLoraArgs[] = {{"alpha", ArgType::kNumber, true, false, "", ""},
                                 {"r", ArgType::kInt, false, false, "rows of lora_A", ""},
                                 {"rslora", ArgType::kBool, false, false, "false", ""},
                                 {"fan_in_fan_out", ArgType::kBool, false, false, "false", ""},
                                 CKMAP_RESULT_ARGS};
constexpr ArgSpec kWeightNormArgs[] = {{"axis", ArgType::kInt, false, false, "0", ""}, CKMAP_RESULT_ARGS};
constexpr ArgSpec kBatchNormArgs[] = {{"eps", ArgType::kNumber, true, false, "", ""},
                                      {"axis", ArgType::kInt, false, false, "0", ""},
                                      {"give", ArgType::kWord, false, false, "both", "both|weight|bias"},
                                      {"identity", ArgType::kIntList, false, false, "", ""},
                                      CKMAP_RESULT_ARGS};
constexpr ArgSpec kDequantizeArgs[] = {{"to", ArgType::kDType, true, false, "", ""},
                                       {"block", ArgType::kIntList, false, false, "", ""},
                                       {"axis", ArgType::kInt, false, false, "", ""},
                                       {"bits", ArgType::kInt, false, false, "", ""},
                                       {"overflow", ArgType::kWord, false, false, "error", "error|saturate|inf"}};
constexpr ArgSpec kQuantizeArgs[] = {{"to", ArgType::kDType, true, false, "", ""},
                                     {"block", ArgType::kIntList, false, false, "", ""},
                                     {"axis", ArgType::kInt, false, false, "", ""},
                                     {"reciprocal", ArgType::kNumber, false, false, "", ""},
                                     {"overflow", ArgType::kWord, false, false, "saturate", "error|saturate|inf"}};
constexpr ArgSpec kAbsmaxArgs[] = {{"block", ArgType::kIntList, true, false, "", ""},
                                   {"over", ArgType::kNumber, false, false, "1", ""},
                                   {"least", ArgType::kNumber, false, false, "0", ""},
                                   {"zeros", ArgType::kWord, false, false, "keep", "keep|epsilon"},
                                   CKMAP_RESULT_ARGS};
constexpr ArgSpec kInterpolateArgs[] = {
    {"size", ArgType::kIntList, true, false, "", ""},
    {"mode", ArgType::kWord, true, false, "", "nearest|nearest_exact|linear|bilinear|bicubic"},
    {"align_corners", ArgType::kBool, false, false, "false", ""},
    {"antialias", ArgType::kBool, false, false, "false", ""},
    CKMAP_RESULT_ARGS};
constexpr ArgSpec kNormalizeArgs[] = {{"axes", ArgType::kIntList, true, false, "", ""},
                                      {"eps", ArgType::kNumber, true, false, "", ""},
                                      {"mode", ArgType::kWord, false, false, "l2", "l2|standardize"},
                                      CKMAP_RESULT_ARGS};
constexpr ArgSpec kUnpackArgs[] = {{"bits", ArgType::kInt, true, false, "", ""},
                                   {"axis", ArgType::kInt, false, false, "-1", ""},
                                   {"order", ArgType::kWord, false, false, "low", "low|high"},
                                   {"fields", ArgType::kInt, false, false, "", ""},
                                   {"signed", ArgType::kBool, false, false, "false", ""}};
constexpr ArgSpec kPackArgs[] = {{"bits", ArgType::kInt, true, false, "", ""},
                                 {"to", ArgType::kDType, true, false, "", ""},
                                 {"axis", ArgType::kInt, false, false, "-1", ""},
                                 {"order", ArgType::kWord, false, false, "low", "low|high"},
                                 {"fields", ArgType::kInt, false, false, "", ""},
                                 {"signed", ArgType::kBool, false, false, "false", ""},
                                 {"overflow", ArgType::kWord, false, false, "error", "error|saturate"}};
constexpr ArgSpec kConstantArgs[] = {{"values", ArgType::kIntList, true, false, "", ""},
                                     {"to", ArgType::kDType, true, false, "", ""}};
constexpr ArgSpec kDecodeArgs[] = {{"format", ArgType::kWord, true, false, "", "e2m1|e2m3|e3m2|e8m0|e4m3|e5m2"}};
constexpr ArgSpec kTakeArgs[] = {{"axis", ArgType::kInt, false, false, "0", ""}};
constexpr ArgSpec kReduceMeanArgs[] = {{"axis", ArgType::kInt, true, false, "", ""}, CKMAP_RESULT_ARGS};
#undef CKMAP_RESULT_ARGS

constexpr OpError kErrors[] = {
    {"CK0414", "too few or too many tensors"},
    {"CK0415", "shapes that do not fit together"},
    {"CK1209", "the same, or a dtype that is not taken, seen when the plan is bound"},
    {"overflow", "with overflow=error, a result that its dtype cannot hold stops the conversion and is named"}};
constexpr OpError kMapErrors[] = {
    {"CK0402", "an axis that is out of range"},
    {"CK1209", "shapes or dtypes that are not taken"},
    {"overflow", "with overflow=error, a result that its dtype cannot hold stops the conversion and is named"}};

constexpr OpError kUnpackErrors[] = {
    {"CK0402", "the tensor has no such axis"},
    {"CK0412", "`bits` is not 1 to 8"},
    {"CK1209", "the tensor holds no fields: of other dtypes say bitcast first; or a word has not so many of them"}};
constexpr OpError kPackErrors[] = {
    {"CK0402", "the tensor has no such axis"},
    {"CK0412", "`bits` is not 1 to 8"},
    {"CK1209", "the numbers are not integers, `to` is not an integer, or an element of it has not so many fields"},
    {"overflow", "with overflow=error, a number that has more bits stops the conversion and is named"}};
constexpr OpError kConstantErrors[] = {{"CK1209", "`to` has no such number, or there are more than 4096"}};
constexpr OpError kAbsmaxErrors[] = {
    {"CK0415", "`block` has not one size for each axis"},
    {"CK1209", "the same, a block below 1, or a dtype that is not taken, seen when the plan is bound"},
    {"range", "an element that is NaN or infinite stops the conversion and is named"},
    {"overflow", "with overflow=error, a result that its dtype cannot hold stops the conversion and is named"}};
constexpr OpError kQuantizeErrors[] = {
    {"CK0414", "too few or too many tensors"},
    {"CK0415", "shapes that do not fit together"},
    {"CK1209", "the same, or a dtype that is not taken, seen when the plan is bound"},
    {"range", "an element that is not 0 and has the scale 0 stops the conversion and is named"},
    {"overflow", "with overflow=error, a result that its dtype cannot hold stops the conversion and is named"}};
constexpr OpError kDecodeErrors[] = {
    {"CK1209", "the elements have more than a byte"},
    {"range", "a code that the format does not have stops the conversion and is named"}};
constexpr OpError kTakeErrors[] = {{"CK0402", "the table has no such axis"},
                                   {"CK0414", "too few or too many tensors"},
                                   {"CK1209", "the indices are not integers"},
                                   {"range", "an index that the axis does not have stops the conversion and is named"}};

constexpr std::string_view kFirst = "`to`, else that of the first tensor";

constexpr OpSpec kComputedOps[] = {
    {.name = "matmul",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kResultArgs,
     .takes = DTypes::kFloats,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "a product does not tell its factors",
     .shapes = "[m, k], [k, n] | matmul() -> [m, n]",
     .doc = "The matrix product of two tensors; axes in front of the last two are equal. Sums run in f64, in order.",
     .errors = kErrors},
    {.name = "lora_merge",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kLoraArgs,
     .takes = DTypes::kFloats,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "the weight and the adapter cannot be told apart any more",
     .shapes = "[out, in], [r, in], [out, r] | lora_merge(alpha=16) -> [out, in]",
     .doc = "weight + alpha / r * lora_B @ lora_A, of weight, lora_A, lora_B. rslora divides by the root of r; "
            "fan_in_fan_out is for "
            "a weight [in, out]; a fourth tensor, DoRA's magnitude [out], gives the outputs' rows their lengths. "
            "Kernels of "
            "convolutions count as [out, in * height * width].",
     .errors = kErrors},
    {.name = "fold_weight_norm",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kWeightNormArgs,
     .takes = DTypes::kFloats,
     .gives = "`to`, else that of weight_v",
     .undone = Inverse::kNever,
     .inverse = "only the product of length and direction is determined",
     .shapes = "[o, 1, 1], [o, i, k] | fold_weight_norm() -> [o, i, k]",
     .doc = "g * v / |v| of weight_g, weight_v (original0, original1 of torch's parametrizations); the norm is over "
            "all axes but `axis`.",
     .errors = kErrors},
    {.name = "fold_batch_norm",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kBatchNormArgs,
     .takes = DTypes::kFloats,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "the norm's four numbers a channel become two",
     .shapes = "[o, i, k, k], [o], [o], [o], [o], [o] | fold_batch_norm(eps=1e-5) -> [o, i, k, k], [o]",
     .doc = "Of weight, gamma, beta, mean, variance and, if there is one, bias: the weight w * gamma / sqrt(variance + "
            "eps) and the bias "
            "beta + (bias - mean) * gamma / sqrt(variance + eps), or the one that `give` names. `axis` holds the "
            "channels. With "
            "identity=[i, k, k] there is no weight: it is the kernel that changes nothing.",
     .errors = kErrors},
    {.name = "dequantize",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kDequantizeArgs,
     .takes = DTypes::kAny,
     .gives = "`to`",
     .undone = Inverse::kNever,
     .inverse = "the rounding to `to` loses bits, and the scale is not kept",
     .shapes = "[576, 7168], [5, 56] | dequantize(to=bf16, block=[128, 128]) -> [576, 7168]",
     .doc = "(weight - zero point) * scale of weight, scale and, if there is one, zero point. One scale serves a "
            "`block` (-1: all of an "
            "axis), the last ones being cut off; or an index of `axis`; or, with neither, everything, or what a scale "
            "with axes of size 1 "
            "says. The product is rounded to f32, then to `to`. bits=4 takes the integers of 4 bits out of i4, u8, i8, "
            "u32, i32, lowest first.",
     .errors = kErrors},
    {.name = "quantize",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kQuantizeArgs,
     .takes = DTypes::kNumbers,
     .gives = "`to`",
     .undone = Inverse::kNever,
     .inverse = "rounding loses bits",
     .shapes = "[o, i], [o, 1] | quantize(to=i8) -> [o, i]",
     .doc =
         "weight / scale, for integers rounded to nearest (ties to even) before the zero point is added, of weight, "
         "scale and, if there is one, zero point. Scales as those of dequantize. The quotient is rounded "
         "first to the dtype in which torch computes it: f64 if one of the two is f64, that of both if it is bf16 "
         "or f16, else f32. reciprocal=n: weight * (n * (1 / scale)), where each step is rounded to the dtype of the "
         "scale (f32 if that has 8 bits), as torch computes n / scale. A weight of 0 whose scale is 0 becomes 0.",
     .errors = kQuantizeErrors},
    {.name = "absmax",
     .kind = OpKind::kComputed,
     .args = kAbsmaxArgs,
     .takes = DTypes::kFloats,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "one number does not tell those that it is greater than",
     .shapes = "[576, 7168] | absmax(block=[128, 128], over=448) -> [5, 56]",
     .doc = "The scales that quantize takes: the greatest magnitude in each block (-1: all of an axis; the last blocks "
            "are cut off), divided by `over`, at least `least`; rounded once. With zeros=epsilon a scale that is 0 in "
            "its dtype becomes the dtype's epsilon, as in compressed-tensors.",
     .errors = kAbsmaxErrors},
    {.name = "interpolate",
     .kind = OpKind::kComputed,
     .args = kInterpolateArgs,
     .takes = DTypes::kFloats,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "resizing loses what lies between",
     .shapes = "[1, c, 14, 14] | interpolate(size=[24, 24], mode=bicubic) -> [1, c, 24, 24]",
     .doc = "Resizes the last axis or the last two, as torch.nn.functional.interpolate does. linear is for one axis, "
            "bilinear and bicubic are for two.",
     .errors = kMapErrors},
    {.name = "normalize",
     .kind = OpKind::kComputed,
     .args = kNormalizeArgs,
     .takes = DTypes::kFloats,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "the lengths are lost",
     .shapes = "[o, i] | normalize(axes=[1], eps=1e-12) -> [o, i]",
     .doc = "l2: x / max(|x|, eps), as torch.nn.functional.normalize; standardize: (x - mean) / sqrt(variance + eps), "
            "the standardisation of "
            "weights. Both over `axes`.",
     .errors = kMapErrors},
    {.name = "sum",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kResultArgs,
     .takes = DTypes::kNumbers,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "a sum does not tell its terms",
     .shapes = "[a, b], [a, b] | sum() -> [a, b]",
     .doc = "The sum of the tensors of a list. An axis of size 1 is repeated.",
     .errors = kErrors},
    {.name = "subtract",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kResultArgs,
     .takes = DTypes::kNumbers,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "a difference does not tell its terms",
     .shapes = "[c], [c] | subtract() -> [c]",
     .doc = "The first of two tensors minus the second. An axis of size 1 is repeated.",
     .errors = kErrors},
    {.name = "multiply",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kResultArgs,
     .takes = DTypes::kNumbers,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "a product does not tell its factors",
     .shapes = "[o, i], [o, 1] | multiply() -> [o, i]",
     .doc = "The product of the tensors of a list, element by element. An axis of size 1 is repeated.",
     .errors = kErrors},
    {.name = "divide",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kResultArgs,
     .takes = DTypes::kNumbers,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "a quotient does not tell its terms",
     .shapes = "[o, i], [o, 1] | divide() -> [o, i]",
     .doc = "The first of two tensors divided by the second, in f64, rounded once. An axis of size 1 is repeated. A "
            "division by zero stops the conversion.",
     .errors = kErrors},
    {.name = "unpack",
     .kind = OpKind::kComputed,
     .args = kUnpackArgs,
     .gives = "u8, or i8 if they are signed",
     .undone = Inverse::kNever,
     .inverse = "the bits that are left over at the end of a row are lost",
     .shapes = "[o, i] of u8 | unpack(bits=4) -> [o, 2*i]",
     .doc =
         "The fields of `bits` bits that an axis of integers, i4 or f4 is packed with. The axis is one little-endian "
         "stream of bits, lowest first; bits that are left over at its end fall away. fields=n: each element holds n "
         "fields from its lowest bit on, and none crosses elements. order=high: the fields of an element in "
         "descending order. signed: two's complement.",
     .errors = kUnpackErrors},
    {.name = "pack",
     .kind = OpKind::kComputed,
     .args = kPackArgs,
     .gives = "`to`",
     .undone = Inverse::kNever,
     .inverse = "computed operations do not run backwards; unpack with the same arguments gives the numbers again",
     .shapes = "[o, 2*i] of u8 | pack(bits=4, to=u8) -> [o, i]",
     .doc = "The inverse of unpack: puts integers of `bits` bits into the elements of an integer dtype along an axis. "
            "`order`, `fields` and `signed` are those of unpack. Bits that are left over are 0.",
     .errors = kPackErrors},
    {.name = "constant",
     .kind = OpKind::kComputed,
     .args = kConstantArgs,
     .gives = "`to`",
     .undone = Inverse::kNever,
     .inverse = "nothing of the tensor is kept",
     .shapes = "[o, i] | constant([o, i], to=i64) -> [2]",
     .doc = "A tensor of one axis with the numbers of the list, whatever tensor it is applied to: sizes and settings "
            "that a format stores beside a weight.",
     .errors = kConstantErrors},
    {.name = "decode",
     .kind = OpKind::kComputed,
     .args = kDecodeArgs,
     .gives = "f32",
     .undone = Inverse::kNever,
     .inverse = "not every number has a code",
     .shapes = "[o, i] of u8 | decode(e2m1) -> [o, i]",
     .doc = "The values of codes, one in each byte: e2m1 (FP4), e2m3 and e3m2 (FP6), e8m0 (powers of two; 255 is NaN), "
            "e4m3 and e5m2 (FP8). Every value is exact; -0 and NaN stay what they are.",
     .errors = kDecodeErrors},
    {.name = "take",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kTakeArgs,
     .gives = "that of the table",
     .undone = Inverse::kNever,
     .inverse = "what no index names is lost",
     .shapes = "[16], [o, i] | take() -> [o, i]",
     .doc = "Of a table and indices: the slices of the table along `axis` that the indices name, the indices' axes in "
            "the place of that axis. Codebooks, the groups of g_idx, rows that another tensor lists.",
     .errors = kTakeErrors},
    {.name = "mean",
     .kind = OpKind::kComputed,
     .arity = OpArity::kReduce,
     .args = kResultArgs,
     .takes = DTypes::kNumbers,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "a mean does not tell its terms",
     .shapes = "[a, b], [a, b] | mean() -> [a, b]",
     .doc = "The mean of the tensors of a list. An axis of size 1 is repeated.",
     .errors = kErrors},
    {.name = "reduce_mean",
     .kind = OpKind::kComputed,
     .args = kReduceMeanArgs,
     .takes = DTypes::kFloats,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "a mean does not tell its terms",
     .shapes = "[n, d] | reduce_mean(axis=0) -> [1, d]",
     .doc = "The mean along an axis, which stays with size 1.",
     .errors = kMapErrors},
    {.name = "exp",
     .kind = OpKind::kComputed,
     .args = kResultArgs,
     .takes = DTypes::kFloats,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "rounding loses bits",
     .shapes = "[a] | exp() -> [a]",
     .doc = "e to the power of each element.",
     .errors = kMapErrors},
    {.name = "log",
     .kind = OpKind::kComputed,
     .args = kResultArgs,
     .takes = DTypes::kFloats,
     .gives = kFirst,
     .undone = Inverse::kNever,
     .inverse = "rounding loses bits",
     .shapes = "[a] | log() -> [a]",
     .doc = "The natural logarithm of each element; an element that has none stops the conversion.",
     .errors = kMapErrors},
};

}  // namespace

std::span<const OpSpec> ComputedOps() { return kComputedOps; }

}  // namespace ckmap
