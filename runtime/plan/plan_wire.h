// A first look at the bytes of a plan, before protobuf allocates anything for them: the wire format
// is walked against the schema, so that what is parsed afterwards is bounded in count and depth and
// holds nothing that this version does not know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/base/result.h"

namespace ckmap {

inline constexpr size_t kMaxPlanBytes = size_t{64} << 20;
inline constexpr int kMaxPlanNesting = 200;          // messages inside messages
inline constexpr int64_t kMaxPlanNodes = 1'500'000;  // messages and strings in all

// kMalformed: no plan, a newer format (the message names both), an unknown field or enum value, a
// length that runs out of its message, text that is no UTF-8. kLimit: one of the limits above.
Result<void> CheckPlanWire(std::string_view bytes);

}  // namespace ckmap
