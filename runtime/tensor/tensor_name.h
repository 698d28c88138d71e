// Which names of tensors are read. Names are data, but what steers a terminal or ends a C string
// is refused in every format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/text.h"  // QuoteName

namespace ckmap {

inline constexpr size_t kMaxTensorName = size_t{1} << 16;  // bytes
inline constexpr size_t kMaxTensorRank = 64;
inline constexpr int64_t kMaxTensorDim = int64_t{1} << 48;

// "" if the name is valid UTF-8 without control characters (C0, DEL, C1) and at most
// kMaxTensorName bytes; otherwise what is wrong with it ("the name is not UTF-8").
std::string TensorNameProblem(std::string_view name);

}  // namespace ckmap
