#include "runtime/ops/op_rows.h"

namespace ckmap {
namespace {

constexpr ArgSpec kCastArgs[] = {{"to", ArgType::kDType, true, false, "", ""},
                                 {"overflow", ArgType::kWord, false, false, "error", "error|saturate|inf"}};
constexpr OpError kCastErrors[] = {
    {"CK1209", "one of the two dtypes has no numbers: complex, i4 and floats below 8 bits"},
    {"overflow", "with overflow=error, a finite value that `to` cannot hold stops the conversion and is named"}};

constexpr ArgSpec kScaleArgs[] = {{"factor", ArgType::kNumber, true, false, "", ""},
                                  {"overflow", ArgType::kWord, false, false, "error", "error|saturate|inf"}};
constexpr ArgSpec kAddArgs[] = {{"term", ArgType::kNumber, true, false, "", ""},
                                {"overflow", ArgType::kWord, false, false, "error", "error|saturate|inf"}};
constexpr ArgSpec kBitcastArgs[] = {{"to", ArgType::kDType, true, false, "", ""},
                                    {"from", ArgType::kDType, false, false, "", ""}};
constexpr OpError kScaleErrors[] = {
    {"CK0412", "the factor is 0"},
    {"CK1209",
     "integers are scaled by what is neither whole nor 1 / 2, 1 / 4, …; floats by an integer that f64 would round"},
    {"overflow",
     "with overflow=error, a result that the dtype cannot hold stops the conversion and is named; so does one "
     "that is not exact, where the factor is a power of two or the elements are integers"}};
constexpr OpError kAddErrors[] = {
    {"CK1209", "a number that is not whole is added to integers, or an integer that f64 would round to floats"},
    {"overflow", "with overflow=error, a result that the dtype cannot hold stops the conversion and is named"}};
constexpr OpError kNegErrors[] = {
    {"overflow", "the least integer has no negative: it stops the conversion and is named"}};
constexpr OpError kBitcastErrors[] = {
    {"CK1209", "the tensor is not of dtype `from`"},
    {"CK1209", "the size differs and the last axis is not made of whole elements of `to`, or there is none"}};

constexpr OpSpec kElementwiseOps[] = {
    {.name = "cast",
     .kind = OpKind::kElementwise,
     .args = kCastArgs,
     .takes = DTypes::kNumbersBool,
     .gives = "`to`",
     .undone = Inverse::kNever,
     .inverse = "rounding loses bits",
     .shapes = "[a, b] | cast(f16) -> [a, b]",
     .doc = "Converts the elements (round to nearest, ties to even). A finite value that the new type cannot "
            "hold is an error, the nearest value that it can hold, or infinity.",
     .errors = kCastErrors},
    {.name = "scale",
     .kind = OpKind::kElementwise,
     .args = kScaleArgs,
     .takes = DTypes::kNumbers,
     .undone = Inverse::kSometimes,
     .inverse = "scale by 1 / factor, if the factor is a power of two and overflow=error",
     .shapes = "[a, b] | scale(0.125) -> [a, b]",
     .doc = "Multiplies each element. Floats: in f64, rounded once to the dtype, to nearest, ties to even; a product "
            "with a power of "
            "two is exact. Integers: exact, by a whole factor, or divided by a power of two.",
     .errors = kScaleErrors},
    {.name = "add",
     .kind = OpKind::kElementwise,
     .args = kAddArgs,
     .takes = DTypes::kNumbers,
     .undone = Inverse::kNever,
     .inverse = "a sum of floats is rounded",
     .shapes = "[a, b] | add(1) -> [a, b]",
     .doc = "Adds a number to each element. Floats: in f64, rounded once to the dtype, to nearest, ties to even. "
            "Integers: exact.",
     .errors = kAddErrors},
    {.name = "neg",
     .kind = OpKind::kElementwise,
     .args = {},
     .takes = DTypes::kSigned,
     .undone = Inverse::kAlways,
     .inverse = "itself",
     .shapes = "[a, b] | neg() -> [a, b]",
     .doc = "Turns the sign of each element round; no bit is lost, zeros and NaNs change their sign too.",
     .errors = kNegErrors},
    {.name = "bitcast",
     .kind = OpKind::kElementwise,
     .args = kBitcastArgs,
     .takes = DTypes::kWholeBytes,
     .gives = "`to`",
     .undone = Inverse::kSometimes,
     .inverse = "bitcast to `from`, if it is given",
     .shapes = "[a, b] | bitcast(u16, from=bf16) -> [a, b]",
     .doc = "Takes the same bits as elements of another dtype (little-endian). One of half the size makes the last "
            "axis twice as long, one "
            "of twice the size half as long, and so on. `from` says what the dtype must be.",
     .errors = kBitcastErrors},
    {.name = "byteswap",
     .kind = OpKind::kElementwise,
     .args = {},
     .takes = DTypes::kWholeBytes,
     .undone = Inverse::kAlways,
     .inverse = "itself",
     .shapes = "[a, b] | byteswap() -> [a, b]",
     .doc = "Reverses the bytes of each element: for files that were written in another byte order than they say.",
     .errors = {}},
};

}  // namespace

std::span<const OpSpec> ElementwiseOps() { return kElementwiseOps; }

}  // namespace ckmap
