// What fuzz targets of readers share: bytes as a file, in memory or in a folder, and reading what opens.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
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

// A folder of this process, for formats of several files. It stays empty but for what PutFuzzFile puts there, and is
// removed at the end.
inline const std::string& FuzzFolder() {
  struct Folder {
    std::string path = (std::filesystem::temp_directory_path() / "ckmap-fuzz-XXXXXX").string();
    Folder() {
      if (::mkdtemp(path.data()) == nullptr) std::abort();
    }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const Folder folder;
  return folder.path;
}

// The path of a file of these bytes in that folder.
inline std::string PutFuzzFile(const std::string& name, const uint8_t* data, size_t size) {
  const std::string path = FuzzFolder() + "/" + name;
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  return path;
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
