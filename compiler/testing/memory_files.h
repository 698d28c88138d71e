// A source and an output that exist in memory only, so that tests run through the engine that
// converts real files.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime/formats/checkpoint.h"
#include "runtime/formats/writer.h"

namespace ckmap {

// Dense tensors; each is a storage of its own.
class MemoryCheckpoint final : public Checkpoint {
 public:
  // `data`: one entry for each tensor of the manifest, in its size.
  MemoryCheckpoint(Manifest manifest, std::vector<std::vector<std::byte>> data);

  std::string_view format() const override { return "memory"; }
  int64_t storage_bytes(uint32_t storage) const override { return static_cast<int64_t>(data_[storage].size()); }
  std::vector<FileExtent> storage_extents(uint32_t) const override { return {}; }
  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override;
  Result<void> CheckUnchanged() const override { return {}; }

 private:
  std::vector<std::vector<std::byte>> data_;
};

// The tensors one after another in a file without a name, which goes with the object.
class MemoryWriter final : public CheckpointWriter {
 public:
  static Result<std::unique_ptr<MemoryWriter>> Create(const std::vector<OutputTensor>& tensors);
  ~MemoryWriter() override;

  std::vector<FileExtent> extents(size_t tensor) const override { return {extents_[tensor]}; }
  const std::string& path(size_t) const override { return path_; }
  Result<std::vector<WrittenFile>> Commit() override { return std::vector<WrittenFile>(); }
  int64_t total_bytes() const override { return total_; }

  // What was written.
  Result<std::vector<std::byte>> Read(size_t tensor) const;

 private:
  MemoryWriter() = default;

  int fd_ = -1;
  int64_t total_ = 0;
  std::vector<FileExtent> extents_;
  std::string path_ = "memory";
};

}  // namespace ckmap
