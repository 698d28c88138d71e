#include "runtime/formats/storage/named_checkpoints.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

class NamedCheckpoints final : public Checkpoint {
 public:
  explicit NamedCheckpoints(std::vector<NamedCheckpoint> parts) : parts_(std::move(parts)) {
    const Checkpoint& first = *parts_.front().checkpoint;
    manifest_.framework = first.manifest().framework;
    metadata_ = first.metadata();
    others_ = first.others();
  }

  Result<void> Take(size_t part) {
    const auto& [name, checkpoint] = parts_[part];
    const auto first = static_cast<uint32_t>(storages_.size());
    int64_t last_id = ids_;
    for (size_t i = 0; i < checkpoint->manifest().size(); ++i) {
      TensorInfo info = checkpoint->manifest()[i];
      if (!name.empty()) info.name = NameInSpace(name, info.name);
      if (info.storage >= 0) {
        info.storage += ids_;
        last_id = std::max(last_id, info.storage + 1);
      }
      TensorLayout layout = info.unreadable.empty() ? checkpoint->layout(i) : TensorLayout();
      while (info.unreadable.empty() && storages_.size() <= first + layout.storage) {
        storages_.push_back({part, static_cast<uint32_t>(storages_.size()) - first});
      }
      layout.storage += first;
      const std::string full = info.name;
      if (!manifest_.Add(std::move(info)))
        return Error(ErrorCode::kMalformed, fmt::format("two sources have a tensor {}", QuoteName(full)));
      layouts_.push_back(std::move(layout));
    }
    ids_ = last_id;
    for (const std::string& warning : checkpoint->warnings())
      warnings_.push_back(name.empty() ? warning : fmt::format("{}: {}", name, warning));
    if (part > 0 && !checkpoint->others().empty()) {
      warnings_.push_back(fmt::format("{}: {} of it are not tensors, and are left out", name,
                                      Plural(static_cast<int64_t>(checkpoint->others().size()), "entry")));
    }
    return {};
  }

  std::string_view format() const override { return parts_.front().checkpoint->format(); }
  int64_t storage_bytes(uint32_t storage) const override { return Of(storage).storage_bytes(At(storage)); }
  std::vector<FileExtent> storage_extents(uint32_t storage) const override {
    return Of(storage).storage_extents(At(storage));
  }
  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override {
    return Of(storage).ReadStorage(At(storage), offset, out);
  }
  Result<void> VerifyStorage(uint32_t storage) const override { return Of(storage).VerifyStorage(At(storage)); }
  std::shared_ptr<const ChecksumGroup> checksums(uint32_t storage) const override {
    return Of(storage).checksums(At(storage));
  }
  bool has_crc() const override {
    return std::all_of(parts_.begin(), parts_.end(), [](const auto& part) { return part.checkpoint->has_crc(); });
  }
  Result<void> CheckUnchanged() const override {
    for (const NamedCheckpoint& part : parts_) CKMAP_RETURN_IF_ERROR(part.checkpoint->CheckUnchanged());
    return {};
  }

 private:
  struct Storage {
    size_t part = 0;
    uint32_t storage = 0;
  };
  const Checkpoint& Of(uint32_t storage) const { return *parts_[storages_.at(storage).part].checkpoint; }
  uint32_t At(uint32_t storage) const { return storages_.at(storage).storage; }

  std::vector<NamedCheckpoint> parts_;
  std::vector<Storage> storages_;
  int64_t ids_ = 0;  // that TensorInfo::storage has so far
};

}  // namespace

std::string NameInSpace(const std::string& space, const std::string& tensor) { return space + ":" + tensor; }

Result<std::unique_ptr<Checkpoint>> JoinByName(std::vector<NamedCheckpoint> parts) {
  const size_t count = parts.size();
  auto joined = std::make_unique<NamedCheckpoints>(std::move(parts));
  for (size_t part = 0; part < count; ++part) CKMAP_RETURN_IF_ERROR(joined->Take(part));
  return std::unique_ptr<Checkpoint>(std::move(joined));
}

}  // namespace ckmap
