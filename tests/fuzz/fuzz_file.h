// What fuzz targets of readers share: bytes as a file that lies in memory, and reading what opens.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// The path of a file of these bytes; the next call replaces it.
inline std::string FuzzFile(const uint8_t* data, size_t size) {
  static const int fd = ::memfd_create("fuzz", 0);
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  return "/proc/self/fd/" + std::to_string(fd);
}

// Holds a checkpoint to what its interface promises, and reads the end of each storage.
inline void ReadWhatOpened(const Result<std::unique_ptr<Checkpoint>>& opened) {
  constexpr int64_t kMaxRead = int64_t{1} << 20;
  if (!opened) return;
  const Checkpoint& checkpoint = **opened;
  for (size_t i = 0; i < checkpoint.manifest().size(); ++i) {
    const TensorInfo& info = checkpoint.manifest()[i];
    if (!info.unreadable.empty()) continue;
    CKMAP_CHECK(NumBytes(info.shape, info.dtype).has_value());
    const uint32_t storage = checkpoint.layout(i).storage;
    const int64_t count = std::min(checkpoint.storage_bytes(storage), kMaxRead);
    std::vector<std::byte> bytes(static_cast<size_t>(count));
    (void)checkpoint.ReadStorage(storage, checkpoint.storage_bytes(storage) - count, bytes);
    (void)checkpoint.VerifyStorage(storage);
  }
}

}  // namespace ckmap
