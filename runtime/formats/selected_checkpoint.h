// A checkpoint of which a part is seen. Internal to formats; selection.h makes them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/formats/checkpoint.h"
#include "runtime/formats/selection.h"

namespace ckmap {

class SelectedCheckpoint final : public Checkpoint {
 public:
  SelectedCheckpoint(std::unique_ptr<Checkpoint> whole, const std::vector<size_t>& tensors,
                     std::vector<OtherEntry> others, std::string warning);

  const Checkpoint& whole() const { return *whole_; }

  std::string_view format() const override { return whole_->format(); }
  int64_t storage_bytes(uint32_t storage) const override { return whole_->storage_bytes(storage); }
  std::vector<FileExtent> storage_extents(uint32_t storage) const override { return whole_->storage_extents(storage); }
  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override {
    return whole_->ReadStorage(storage, offset, out);
  }
  Result<void> VerifyStorage(uint32_t storage) const override { return whole_->VerifyStorage(storage); }
  std::shared_ptr<const ChecksumGroup> checksums(uint32_t storage) const override { return whole_->checksums(storage); }
  bool has_crc() const override { return whole_->has_crc(); }
  Result<void> CheckUnchanged() const override { return whole_->CheckUnchanged(); }

 private:
  std::unique_ptr<Checkpoint> whole_;
};

// Whether the selection keeps a value of this name.
bool Keeps(const Selection& selection, std::string_view name);

}  // namespace ckmap
