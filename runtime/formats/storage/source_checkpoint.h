// A checkpoint whose tensors are runs of bytes of one source; what the readers of `.ckpt` and MindIR
// build. Made by one thread; immutable once it is handed out.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/formats/checkpoint.h"
#include "runtime/formats/storage/byte_source.h"

namespace ckmap {

// A run of bytes of the source.
struct SourcePart {
  int64_t begin = 0;
  int64_t length = 0;
};

class SourceCheckpoint final : public Checkpoint {
 public:
  // `format` must be a literal.
  SourceCheckpoint(std::string_view format, std::unique_ptr<ByteSource> source)
      : format_(format), source_(std::move(source)) {}

  // Adds a dense tensor whose bytes are `parts`, in order, in a storage of their own. False if the
  // name is taken.
  bool AddTensor(TensorInfo info, std::vector<SourcePart> parts) {
    std::vector<int64_t> strides = RowMajorStrides(info.shape);
    for (int64_t& stride : strides) stride *= DTypeSize(info.dtype);
    return AddTensor(std::move(info), 0, std::move(strides), std::move(parts));
  }
  // The same with a layout of its own: bytes from the storage's start, and between elements.
  bool AddTensor(TensorInfo info, int64_t offset, std::vector<int64_t> strides, std::vector<SourcePart> parts);
  // Adds a tensor that is only listed; info.unreadable says why.
  bool AddUnreadable(TensorInfo info);
  void AddOther(OtherEntry other) { others_.push_back(std::move(other)); }
  void AddWarning(std::string warning) { warnings_.push_back(std::move(warning)); }
  void AddMetadata(std::string key, std::string value) { metadata_[std::move(key)] = std::move(value); }

  // The CRC-32 of the file's first `length` bytes must be `crc`; VerifyStorage checks it.
  void ExpectCrc(uint32_t crc, int64_t length);

  std::string_view format() const override { return format_; }
  int64_t storage_bytes(uint32_t storage) const override { return storages_.at(storage).bytes; }
  std::vector<FileExtent> storage_extents(uint32_t storage) const override;
  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override;
  // The CRC of the whole file is computed once; later calls repeat its answer.
  Result<void> VerifyStorage(uint32_t storage) const override;
  std::shared_ptr<const ChecksumGroup> checksums(uint32_t /*storage*/) const override { return crc_; }
  bool has_crc() const override { return crc_ != nullptr; }
  Result<void> CheckUnchanged() const override { return source_->file().CheckUnchanged(); }

 private:
  struct Storage {
    std::vector<SourcePart> parts;
    int64_t bytes = 0;
  };
  Result<void> VerifyCrc() const;

  std::string_view format_;
  std::unique_ptr<ByteSource> source_;
  std::vector<Storage> storages_;
  std::shared_ptr<const ChecksumGroup> crc_;  // null: the file has none
  mutable std::once_flag verify_once_;
  mutable Result<void> verified_;
};

}  // namespace ckmap
