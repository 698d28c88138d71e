#include "runtime/formats/storage/storage_source.h"

#include <cstring>
#include <utility>

namespace ckmap {
namespace {

class FileRun : public StorageSource {
 public:
  FileRun(const InputFile& file, int64_t offset, int64_t bytes) : file_(file), offset_(offset), bytes_(bytes) {}
  int64_t bytes() const override { return bytes_; }
  std::vector<FileExtent> extents() const override { return {{file_.fd(), offset_, bytes_}}; }
  Result<void> Read(int64_t offset, std::span<std::byte> out) const override {
    return file_.ReadAt(offset_ + offset, out);
  }

 private:
  const InputFile& file_;
  int64_t offset_;
  int64_t bytes_;
};

class ZipRecord : public StorageSource {
 public:
  ZipRecord(const InputFile& file, const ZipArchive& archive, size_t member)
      : file_(file), archive_(archive), member_(member) {}
  int64_t bytes() const override { return info().size; }
  std::vector<FileExtent> extents() const override {
    if (info().deflated) return {};
    return {{file_.fd(), info().data_offset, info().size}};
  }
  Result<void> Read(int64_t offset, std::span<std::byte> out) const override {
    return archive_.Read(member_, offset, out);
  }
  Result<void> Verify() const override { return archive_.VerifyCrc(member_); }
  std::shared_ptr<const ChecksumGroup> checksums() const override {
    if (info().deflated || info().crc == 0) return nullptr;
    auto group = std::make_shared<ChecksumGroup>();
    group->path = file_.path();
    group->runs = extents();
    group->check = [this](std::span<const uint32_t> crcs) -> Result<void> {
      if (Result<void> same = archive_.CompareCrc(member_, crcs[0]); !same)
        return std::move(same).error().Context(file_.path());
      return {};
    };
    return group;
  }

 private:
  const ZipMember& info() const { return archive_.members()[member_]; }
  const InputFile& file_;
  const ZipArchive& archive_;
  size_t member_;
};

class Memory : public StorageSource {
 public:
  explicit Memory(std::string bytes) : bytes_(std::move(bytes)) {}
  int64_t bytes() const override { return static_cast<int64_t>(bytes_.size()); }
  Result<void> Read(int64_t offset, std::span<std::byte> out) const override {
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return {};
  }

 private:
  std::string bytes_;
};

}  // namespace

std::unique_ptr<StorageSource> FileSource(const InputFile& file, int64_t offset, int64_t bytes) {
  return std::make_unique<FileRun>(file, offset, bytes);
}

std::unique_ptr<StorageSource> ZipSource(const InputFile& file, const ZipArchive& archive, size_t member) {
  return std::make_unique<ZipRecord>(file, archive, member);
}

std::unique_ptr<StorageSource> MemorySource(std::string bytes) { return std::make_unique<Memory>(std::move(bytes)); }

}  // namespace ckmap
