// The Checkpoint that all torch containers become. Internal to torch.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/torch_objects.h"
#include "runtime/formats/torch_tree.h"
#include "runtime/formats/zip_archive.h"

namespace ckmap {

// The bytes of one storage, wherever they are.
class TorchSource {
 public:
  virtual ~TorchSource() = default;
  virtual int64_t bytes() const = 0;
  virtual std::vector<FileExtent> extents() const { return {}; }
  virtual Result<void> Read(int64_t offset, std::span<std::byte> out) const = 0;
  virtual Result<void> Verify() const { return {}; }
};

// A run of a file. The file must outlive it.
std::unique_ptr<TorchSource> FileSource(const InputFile& file, int64_t offset, int64_t bytes);
// A member of an archive. The archive and its file must outlive it.
std::unique_ptr<TorchSource> ZipSource(const InputFile& file, const ZipArchive& archive,
                                       size_t member);
std::unique_ptr<TorchSource> MemorySource(std::string bytes);

class TorchCheckpoint final : public Checkpoint {
 public:
  explicit TorchCheckpoint(std::string_view format) : format_(format) {
    manifest_.framework = "torch";
  }

  // While it is put together.
  Result<const InputFile*> AddFile(const std::string& path);
  Result<const ZipArchive*> AddArchive(const InputFile& file, int64_t begin, int64_t length);
  uint32_t AddSource(std::unique_ptr<TorchSource> source);
  void ReplaceSource(uint32_t storage, std::unique_ptr<TorchSource> source);
  void AddWarning(std::string warning);  // each text once
  const TorchSource& source(uint32_t storage) const { return *sources_[storage]; }
  // The values of the pickle from the root that the options name on.
  Result<void> AddPickle(const Pickle& pickle, const TorchObjects& objects,
                         const OpenOptions& options);
  void set_format(std::string_view format) { format_ = format; }
  // False if the name is taken.
  bool AddTensor(TensorInfo info, TensorLayout layout);
  void AddOther(OtherEntry entry) { others_.push_back(std::move(entry)); }

  std::string_view format() const override { return format_; }
  int64_t storage_bytes(uint32_t storage) const override { return sources_[storage]->bytes(); }
  std::vector<FileExtent> storage_extents(uint32_t storage) const override {
    return sources_[storage]->extents();
  }
  Result<void> ReadStorage(uint32_t storage, int64_t offset,
                           std::span<std::byte> out) const override;
  Result<void> VerifyStorage(uint32_t storage) const override;
  Result<void> CheckUnchanged() const override;

 private:
  std::string_view format_;
  std::vector<std::unique_ptr<InputFile>> files_;
  std::vector<std::unique_ptr<ZipArchive>> archives_;
  std::vector<std::unique_ptr<TorchSource>> sources_;  // by storage
};

}  // namespace ckmap
