#include "runtime/plan/op_rows.h"

namespace ckmap {
namespace {

constexpr ArgSpec kCastArgs[] = {
    {"to", ArgType::kDType, true, false, "", ""},
    {"overflow", ArgType::kWord, false, false, "error", "error|saturate|inf"}};
constexpr OpError kCastErrors[] = {
    {"CK1209", "one of the two dtypes has no numbers: complex, i4 and floats below 8 bits"},
    {"overflow", "with overflow=error, a finite value that `to` cannot hold stops the conversion and is named"}};

constexpr OpSpec kOps[] = {
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
};

}  // namespace

std::span<const OpSpec> ElementwiseOps() { return kOps; }

}  // namespace ckmap
