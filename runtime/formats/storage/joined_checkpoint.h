// Tensors that lie in slices over several checkpoints, as one checkpoint.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/storage/storage_source.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

// Where a slice of a joined tensor comes from: the whole of a tensor of one part.
struct JoinedSlice {
  size_t part = 0;
  size_t tensor = 0;  // in the part's manifest
  Shape offsets;      // of its first element in the joined tensor
};

// Made by one thread; immutable once it is handed out.
class JoinedCheckpoint : public Checkpoint {
 public:
  // `format` must be a literal.
  JoinedCheckpoint(std::string_view format, std::vector<std::unique_ptr<Checkpoint>> parts)
      : format_(format), parts_(std::move(parts)) {}

  const std::vector<std::unique_ptr<Checkpoint>>& parts() const { return parts_; }

  // A tensor of `info`'s name, dtype and shape. kMalformed unless the slices have its dtype, are dense in their files
  // and tile it exactly (slices that are alike must be given once), and if the name is taken. Messages do not name the
  // tensor.
  Result<void> AddTensor(TensorInfo info, const std::vector<JoinedSlice>& slices);
  void AddMetadata(std::string key, std::string value) { metadata_[std::move(key)] = std::move(value); }
  void AddOther(OtherEntry entry) { others_.push_back(std::move(entry)); }
  void AddWarning(std::string warning) { warnings_.push_back(std::move(warning)); }
  void set_framework(std::string framework) { manifest_.framework = std::move(framework); }

  std::string_view format() const override { return format_; }
  int64_t storage_bytes(uint32_t storage) const override { return storages_.at(storage)->bytes(); }
  std::vector<FileExtent> storage_extents(uint32_t storage) const override { return storages_.at(storage)->extents(); }
  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override;
  Result<void> VerifyStorage(uint32_t storage) const override { return storages_.at(storage)->Verify(); }
  Result<void> CheckUnchanged() const override;

 private:
  std::string_view format_;
  std::vector<std::unique_ptr<Checkpoint>> parts_;
  std::vector<std::unique_ptr<StorageSource>> slices_;    // what the joined storages read
  std::vector<std::unique_ptr<StorageSource>> storages_;  // by storage
};

}  // namespace ckmap
