// Devices as `place` and a device map write them.
#pragma once

#include <algorithm>
#include <string_view>

#include "runtime/base/text.h"

namespace ckmap {

// "CPU", "GPU:0", "Ascend:3", "disk": a name, and a number where there are several.
inline bool IsDeviceName(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (name.empty() || name.size() > 32 || !std::all_of(name.begin(), name.end(), letter)) return false;
  if (colon == std::string_view::npos) return true;
  const std::string_view number = text.substr(colon + 1);
  return !number.empty() && number.size() <= 6 && std::all_of(number.begin(), number.end(), IsDigit);
}

}  // namespace ckmap
