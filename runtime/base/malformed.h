// The error of every reader: bytes that are not what their format demands.
#pragma once

#include <string>
#include <utility>

#include "runtime/base/result.h"

namespace ckmap {

inline Error Malformed(std::string message) { return {ErrorCode::kMalformed, std::move(message)}; }

}  // namespace ckmap
