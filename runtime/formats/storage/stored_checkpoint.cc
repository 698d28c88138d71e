#include "runtime/formats/storage/stored_checkpoint.h"

#include <algorithm>
#include <utility>

namespace ckmap {

Result<const InputFile*> StoredCheckpoint::AddFile(const std::string& path) {
  CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  return &AddFile(std::move(file));
}

const InputFile& StoredCheckpoint::AddFile(InputFile file) {
  files_.push_back(std::make_unique<InputFile>(std::move(file)));
  return *files_.back();
}

Result<const ZipArchive*> StoredCheckpoint::AddArchive(const InputFile& file, int64_t begin, int64_t length,
                                                       ZipNames names) {
  CKMAP_ASSIGN_OR_RETURN(ZipArchive archive, ZipArchive::Open(file, begin, length, names));
  archives_.push_back(std::make_unique<ZipArchive>(std::move(archive)));
  return archives_.back().get();
}

const ByteSource& StoredCheckpoint::AddBytes(std::unique_ptr<ByteSource> bytes) {
  bytes_.push_back(std::move(bytes));
  return *bytes_.back();
}

uint32_t StoredCheckpoint::AddSource(std::unique_ptr<StorageSource> source) {
  sources_.push_back(std::move(source));
  return static_cast<uint32_t>(sources_.size() - 1);
}

void StoredCheckpoint::ReplaceSource(uint32_t storage, std::unique_ptr<StorageSource> source) {
  sources_[storage] = std::move(source);
}

void StoredCheckpoint::AddWarning(std::string warning) {
  if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end()) {
    warnings_.push_back(std::move(warning));
  }
}

bool StoredCheckpoint::AddTensor(TensorInfo info, TensorLayout layout) {
  if (!manifest_.Add(std::move(info))) return false;
  layouts_.push_back(std::move(layout));
  return true;
}

bool StoredCheckpoint::AddDense(TensorInfo info, std::unique_ptr<StorageSource> source, bool byteswap) {
  TensorLayout layout{
      .storage = AddSource(std::move(source)), .strides = RowMajorStrides(info.shape), .byteswap = byteswap};
  const int64_t bytes = DTypeSize(info.dtype);
  for (int64_t& stride : layout.strides) stride *= bytes;
  info.storage = layout.storage;
  return AddTensor(std::move(info), std::move(layout));
}

bool StoredCheckpoint::AddUnreadable(TensorInfo info) {
  CKMAP_CHECK(!info.unreadable.empty());
  return AddTensor(std::move(info), {});
}

Result<void> StoredCheckpoint::ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const {
  const StorageSource& source = *sources_[storage];
  CKMAP_CHECK(offset >= 0 && static_cast<int64_t>(out.size()) <= source.bytes() - offset);
  return source.Read(offset, out);
}

Result<void> StoredCheckpoint::VerifyStorage(uint32_t storage) const {
  if (auto status = sources_[storage]->Verify(); !status.ok()) {
    return std::move(status).error().Context(files_.empty() ? "" : files_.front()->path());
  }
  return {};
}

Result<void> StoredCheckpoint::CheckUnchanged() const {
  for (const auto& file : files_) CKMAP_RETURN_IF_ERROR(file->CheckUnchanged());
  for (const auto& bytes : bytes_) CKMAP_RETURN_IF_ERROR(bytes->file().CheckUnchanged());
  return {};
}

}  // namespace ckmap
