#include "runtime/formats/sharded/sharded_checkpoint.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "runtime/base/mistake_list.h"
#include "runtime/base/text.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

class ShardedCheckpoint final : public Checkpoint {
 public:
  explicit ShardedCheckpoint(std::vector<Shard> shards) : shards_(std::move(shards)) {
    const std::string_view format = shards_[0].checkpoint->format();
    format_ = std::string(format.starts_with("torch") ? "torch" : format) + "-dir";
  }

  Result<void> Join() {
    MistakeList mistakes;
    for (size_t s = 0; s < shards_.size(); ++s) {
      const Shard& shard = shards_[s];
      const Checkpoint& part = *shard.checkpoint;
      const auto base = static_cast<uint32_t>(storages_.size());
      uint32_t count = 0;
      for (size_t t = 0; t < part.manifest().size(); ++t) {
        TensorInfo info = part.manifest()[t];
        TensorLayout layout = part.layout(t);
        if (info.unreadable.empty()) {
          count = std::max(count, layout.storage + 1);
          layout.storage += base;
          info.storage = layout.storage;
        } else {
          info.storage = -1;
        }
        const std::string name = info.name;
        if (manifest_.Add(std::move(info))) {
          layouts_.push_back(std::move(layout));
          owner_.push_back(s);
        } else {
          const size_t first = owner_[*manifest_.Find(name)];
          mistakes.Add(fmt::format("{} holds {}, and so does {}", EscapeText(shard.file), QuoteName(name),
                                   EscapeText(shards_[first].file)));
        }
      }
      for (uint32_t i = 0; i < count; ++i) storages_.emplace_back(s, i);
      JoinRest(shard);
    }
    if (!mistakes.empty()) return mistakes.ToError(ErrorCode::kMalformed, "shards share names");
    return {};
  }

  std::string_view format() const override { return format_; }
  int64_t storage_bytes(uint32_t storage) const override {
    const auto [shard, inner] = storages_.at(storage);
    return shards_[shard].checkpoint->storage_bytes(inner);
  }
  std::vector<FileExtent> storage_extents(uint32_t storage) const override {
    const auto [shard, inner] = storages_.at(storage);
    return shards_[shard].checkpoint->storage_extents(inner);
  }
  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override {
    const auto [shard, inner] = storages_.at(storage);
    return shards_[shard].checkpoint->ReadStorage(inner, offset, out);
  }
  Result<void> VerifyStorage(uint32_t storage) const override {
    const auto [shard, inner] = storages_.at(storage);
    return shards_[shard].checkpoint->VerifyStorage(inner);
  }
  std::shared_ptr<const ChecksumGroup> checksums(uint32_t storage) const override {
    const auto [shard, inner] = storages_.at(storage);
    return shards_[shard].checkpoint->checksums(inner);
  }
  bool has_crc() const override {
    return std::all_of(shards_.begin(), shards_.end(), [](const Shard& shard) { return shard.checkpoint->has_crc(); });
  }
  Result<void> CheckUnchanged() const override {
    for (const Shard& shard : shards_) CKMAP_RETURN_IF_ERROR(shard.checkpoint->CheckUnchanged());
    return {};
  }

 private:
  void JoinRest(const Shard& shard) {
    const Checkpoint& part = *shard.checkpoint;
    for (const auto& [key, value] : part.metadata()) {
      const auto [at, fresh] = metadata_.emplace(key, value);
      if (!fresh && at->second != value) conflicts_.insert(key);
    }
    for (const std::string& key : conflicts_) metadata_.erase(key);
    others_.insert(others_.end(), part.others().begin(), part.others().end());
    for (const std::string& warning : part.warnings()) {
      warnings_.push_back(fmt::format("{}: {}", EscapeText(shard.file), warning));
    }
  }

  std::vector<Shard> shards_;
  std::string format_;
  std::vector<size_t> owner_;                          // of each tensor
  std::vector<std::pair<size_t, uint32_t>> storages_;  // shard, and its own storage id
  std::set<std::string> conflicts_;
};

}  // namespace

Result<std::unique_ptr<Checkpoint>> JoinShards(std::vector<Shard> shards) {
  CKMAP_CHECK(!shards.empty());
  auto joined = std::make_unique<ShardedCheckpoint>(std::move(shards));
  CKMAP_RETURN_IF_ERROR(joined->Join());
  return std::unique_ptr<Checkpoint>(std::move(joined));
}

}  // namespace ckmap
