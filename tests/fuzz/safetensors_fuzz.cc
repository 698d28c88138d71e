// Random bytes as the header of a safetensors file. The first 8 bytes say how much data follow it, so that
// headers can tile them.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/formats/safetensors/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  uint64_t data_bytes = 0;
  std::memcpy(&data_bytes, data, 8);
  std::string text(reinterpret_cast<const char*>(data) + 8, size - 8);
  const auto header = ckmap::ParseSafetensorsHeader(std::move(text), static_cast<int64_t>(data_bytes >> 2));
  if (!header) return 0;
  int64_t total = 0;
  for (size_t i = 0; i < header->ranges.size(); ++i) {
    const auto [begin, end] = header->ranges[i];
    const ckmap::TensorInfo& info = header->manifest[i];
    CKMAP_CHECK(ckmap::NumBytes(info.shape, info.dtype) == end - begin);
    total += end - begin;
  }
  CKMAP_CHECK(total == static_cast<int64_t>(data_bytes >> 2));
  return 0;
}
