// The bytes of one storage, wherever they are: a run of a file, a member of an archive, memory, or what a
// format decodes on the way (a class of its own in that format's file).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/zip/zip_archive.h"

namespace ckmap {

// Const methods may be called from many threads.
class StorageSource {
 public:
  virtual ~StorageSource() = default;
  virtual int64_t bytes() const = 0;
  // As Checkpoint::storage_extents.
  virtual std::vector<FileExtent> extents() const { return {}; }
  // The range lies inside.
  virtual Result<void> Read(int64_t offset, std::span<std::byte> out) const = 0;
  // Checks what the format promises of the bytes.
  virtual Result<void> Verify() const { return {}; }
  // As Checkpoint::checksums.
  virtual std::shared_ptr<const ChecksumGroup> checksums() const { return nullptr; }
};

// A run of a file. The file must outlive it.
std::unique_ptr<StorageSource> FileSource(const InputFile& file, int64_t offset, int64_t bytes);
// A member of an archive. The archive and its file must outlive it.
std::unique_ptr<StorageSource> ZipSource(const InputFile& file, const ZipArchive& archive, size_t member);
std::unique_ptr<StorageSource> MemorySource(std::string bytes);

}  // namespace ckmap
