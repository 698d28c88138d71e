// For fuzz targets of formats: the input as a file in memory, opened; what opens is read at both ends.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/formats/checkpoint.h"

namespace ckmap {

// The input's path, always the same; "" if it cannot be written.
inline std::string FuzzFile(const uint8_t* data, size_t size) {
  static const int fd = ::memfd_create("fuzz", 0);
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) return "";
  return "/proc/self/fd/" + std::to_string(fd);
}

// Every readable tensor must have a byte count and lie in its storage; some of its bytes are read.
inline void ReadWhole(const Checkpoint& checkpoint) {
  constexpr int64_t kMaxRead = int64_t{1} << 18;
  constexpr size_t kMaxTensors = 64;
  for (size_t i = 0; i < checkpoint.manifest().size(); ++i) {
    const TensorInfo& info = checkpoint.manifest()[i];
    if (!info.unreadable.empty()) continue;
    const auto bytes = NumBytes(info.shape, info.dtype);
    CKMAP_CHECK(bytes.has_value());
    const TensorLayout& layout = checkpoint.layout(i);
    const int64_t total = checkpoint.storage_bytes(layout.storage);
    CKMAP_CHECK(layout.strides.size() == info.shape.size());
    if (*bytes == 0 || i >= kMaxTensors) continue;
    int64_t last = layout.offset + DTypeSize(info.dtype);
    for (size_t axis = 0; axis < info.shape.size(); ++axis) last += (info.shape[axis] - 1) * layout.strides[axis];
    CKMAP_CHECK(layout.offset >= 0 && last <= total);
    std::vector<std::byte> out(static_cast<size_t>(std::min(total, kMaxRead)));
    (void)checkpoint.ReadStorage(layout.storage, 0, out);
    (void)checkpoint.ReadStorage(layout.storage, total - static_cast<int64_t>(out.size()), out);
    if (total <= kMaxRead) (void)checkpoint.VerifyStorage(layout.storage);
  }
}

}  // namespace ckmap
