// A checkpoint put together from storages of any kind; what most readers build. Made by one thread;
// immutable once it is handed out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/storage/byte_source.h"
#include "runtime/formats/storage/storage_source.h"
#include "runtime/formats/zip/zip_archive.h"

namespace ckmap {

class StoredCheckpoint : public Checkpoint {
 public:
  // `format` must be a literal.
  explicit StoredCheckpoint(std::string_view format) : format_(format) {}

  // While it is put together. Files and archives live as long as the checkpoint.
  Result<const InputFile*> AddFile(const std::string& path);
  const InputFile& AddFile(InputFile file);
  Result<const ZipArchive*> AddArchive(const InputFile& file, int64_t begin, int64_t length,
                                       ZipNames names = ZipNames::kPaths);
  const ByteSource& AddBytes(std::unique_ptr<ByteSource> bytes);
  uint32_t AddSource(std::unique_ptr<StorageSource> source);
  void ReplaceSource(uint32_t storage, std::unique_ptr<StorageSource> source);
  const StorageSource& source(uint32_t storage) const { return *sources_[storage]; }
  // False if the name is taken.
  bool AddTensor(TensorInfo info, TensorLayout layout);
  // A dense tensor that is all of its source, row-major; info.storage is set.
  bool AddDense(TensorInfo info, std::unique_ptr<StorageSource> source, bool byteswap = false);
  // A tensor that is only listed; info.unreadable says why.
  bool AddUnreadable(TensorInfo info);
  void AddOther(OtherEntry entry) { others_.push_back(std::move(entry)); }
  void AddMetadata(std::string key, std::string value) { metadata_[std::move(key)] = std::move(value); }
  void AddWarning(std::string warning);  // each text once
  void set_format(std::string_view format) { format_ = format; }
  void set_framework(std::string framework) { manifest_.framework = std::move(framework); }

  std::string_view format() const override { return format_; }
  int64_t storage_bytes(uint32_t storage) const override { return sources_[storage]->bytes(); }
  std::vector<FileExtent> storage_extents(uint32_t storage) const override { return sources_[storage]->extents(); }
  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override;
  Result<void> VerifyStorage(uint32_t storage) const override;
  std::shared_ptr<const ChecksumGroup> checksums(uint32_t storage) const override {
    return sources_[storage]->checksums();
  }
  Result<void> CheckUnchanged() const override;

 private:
  std::string_view format_;
  std::vector<std::unique_ptr<InputFile>> files_;
  std::vector<std::unique_ptr<ByteSource>> bytes_;
  std::vector<std::unique_ptr<ZipArchive>> archives_;
  std::vector<std::unique_ptr<StorageSource>> sources_;  // by storage
};

}  // namespace ckmap
