#include "runtime/formats/torch_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

class FileRun : public TorchSource {
 public:
  FileRun(const InputFile& file, int64_t offset, int64_t bytes)
      : file_(file), offset_(offset), bytes_(bytes) {}
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

class ZipRecord : public TorchSource {
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

 private:
  const ZipMember& info() const { return archive_.members()[member_]; }
  const InputFile& file_;
  const ZipArchive& archive_;
  size_t member_;
};

class Memory : public TorchSource {
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

std::unique_ptr<TorchSource> FileSource(const InputFile& file, int64_t offset, int64_t bytes) {
  return std::make_unique<FileRun>(file, offset, bytes);
}

std::unique_ptr<TorchSource> ZipSource(const InputFile& file, const ZipArchive& archive,
                                       size_t member) {
  return std::make_unique<ZipRecord>(file, archive, member);
}

std::unique_ptr<TorchSource> MemorySource(std::string bytes) {
  return std::make_unique<Memory>(std::move(bytes));
}

Result<const InputFile*> TorchCheckpoint::AddFile(const std::string& path) {
  CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  files_.push_back(std::make_unique<InputFile>(std::move(file)));
  return files_.back().get();
}

Result<const ZipArchive*> TorchCheckpoint::AddArchive(const InputFile& file, int64_t begin,
                                                      int64_t length) {
  CKMAP_ASSIGN_OR_RETURN(ZipArchive archive, ZipArchive::Open(file, begin, length));
  archives_.push_back(std::make_unique<ZipArchive>(std::move(archive)));
  return archives_.back().get();
}

uint32_t TorchCheckpoint::AddSource(std::unique_ptr<TorchSource> source) {
  sources_.push_back(std::move(source));
  return static_cast<uint32_t>(sources_.size() - 1);
}

void TorchCheckpoint::ReplaceSource(uint32_t storage, std::unique_ptr<TorchSource> source) {
  sources_[storage] = std::move(source);
}

Result<void> TorchCheckpoint::AddPickle(const Pickle& pickle, const TorchObjects& objects,
                                        const OpenOptions& options) {
  PickleId root = pickle.root();
  if (options.root.empty()) {
    const PickleKind kind = pickle.kind(root);
    const bool holds = kind == PickleKind::kDict || kind == PickleKind::kList ||
                       kind == PickleKind::kTuple || objects.tensor(root) != nullptr ||
                       objects.parts(root) != nullptr ||
                       (kind == PickleKind::kObject &&
                        MeaningOf(pickle.callable(root)).thing == TorchThing::kModuleClass);
    if (!holds) {
      return Error(ErrorCode::kMalformed,
                   fmt::format("the file holds one {} and no tensors", PickleKindName(kind)));
    }
  } else {
    CKMAP_ASSIGN_OR_RETURN(root, FindTorchRoot(pickle, objects, options.root));
  }
  CKMAP_ASSIGN_OR_RETURN(TorchEntries entries, FlattenTorch(pickle, root, objects));
  entries.manifest.framework = manifest_.framework;
  manifest_ = std::move(entries.manifest);
  layouts_ = std::move(entries.layouts);
  others_ = std::move(entries.others);
  if (objects.attributed() > 0) {
    warnings_.push_back(
        fmt::format("{}: Python attributes are left out", Plural(objects.attributed(), "tensor")));
  }
  return {};
}

void TorchCheckpoint::AddWarning(std::string warning) {
  if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end()) {
    warnings_.push_back(std::move(warning));
  }
}

bool TorchCheckpoint::AddTensor(TensorInfo info, TensorLayout layout) {
  if (!manifest_.Add(std::move(info))) return false;
  layouts_.push_back(std::move(layout));
  return true;
}

Result<void> TorchCheckpoint::ReadStorage(uint32_t storage, int64_t offset,
                                          std::span<std::byte> out) const {
  const TorchSource& source = *sources_[storage];
  CKMAP_CHECK(offset >= 0 && static_cast<int64_t>(out.size()) <= source.bytes() - offset);
  return source.Read(offset, out);
}

Result<void> TorchCheckpoint::VerifyStorage(uint32_t storage) const {
  if (auto status = sources_[storage]->Verify(); !status.ok()) {
    return std::move(status).error().Context(files_.empty() ? "" : files_.front()->path());
  }
  return {};
}

Result<void> TorchCheckpoint::CheckUnchanged() const {
  for (const auto& file : files_) CKMAP_RETURN_IF_ERROR(file->CheckUnchanged());
  return {};
}

}  // namespace ckmap
