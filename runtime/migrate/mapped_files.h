// Files of a checkpoint in memory, as the kernel maps them: each once, when it is first asked for.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Thread-safe. A mapping stays as long as anybody holds it, also when the file has been closed or this is gone.
class MappedFiles {
 public:
  // Writable: whoever writes to the bytes gets pages of its own, and the file stays as it is.
  explicit MappedFiles(bool writable = false) : writable_(writable) {}

  // The bytes of an extent of an open file; null where the system does not map it. They must not be read where another
  // program has cut the file short meanwhile (SIGBUS).
  std::shared_ptr<const std::byte> Map(const FileExtent& extent);

 private:
  struct Mapping;
  const bool writable_;
  std::mutex mutex_;
  std::map<int, std::shared_ptr<const Mapping>> files_;  // by descriptor; null: it cannot be mapped
};

// Memory for elements, aligned for any type; null where there is none.
std::shared_ptr<std::byte> AllocateElements(int64_t bytes);

// The bytes of an extent where the file can be mapped and they are aligned for elements of `dtype`; else null.
std::shared_ptr<const std::byte> MapElements(MappedFiles& maps, const FileExtent& extent, DType dtype);

}  // namespace ckmap
