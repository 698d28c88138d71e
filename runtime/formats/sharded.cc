#include "runtime/formats/sharded.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>

#include "runtime/formats/tensor_name.h"

namespace ckmap {
namespace {

constexpr size_t kMaxListed = 5;  // names in one message

Error Bad(const std::string& path, std::string message) {
  return Error(ErrorCode::kMalformed, std::move(message)).Context(path);
}

std::string_view FileName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// "" if a shard's name is a plain file name beside the index.
std::string ShardNameProblem(std::string_view shard, std::string_view index_name) {
  if (shard.empty()) return "is empty";
  if (shard == "." || shard == "..") return "is a folder";
  if (shard.find_first_of("/\\") != std::string_view::npos) return "leaves the index' folder";
  if (!TensorNameProblem(shard).empty()) return "holds control characters";
  if (shard == index_name) return "is the index itself";
  return {};
}

// Shards as one checkpoint; storage ids count through the shards.
class JoinedCheckpoint final : public Checkpoint {
 public:
  explicit JoinedCheckpoint(std::vector<std::unique_ptr<Checkpoint>> shards) : shards_(std::move(shards)) {}

  Result<void> Join(const std::vector<std::string>& names) {
    std::unordered_map<std::string_view, size_t> owner;
    for (size_t s = 0; s < shards_.size(); ++s) {
      const Checkpoint& shard = *shards_[s];
      first_storage_.push_back(next_storage_);
      uint32_t storages = 0;
      for (size_t i = 0; i < shard.manifest().size(); ++i) {
        TensorInfo info = shard.manifest()[i];
        TensorLayout layout = shard.layout(i);
        if (info.unreadable.empty()) storages = std::max(storages, layout.storage + 1);
        layout.storage += next_storage_;
        if (info.storage >= 0) info.storage += next_storage_;
        const auto [it, added] = owner.emplace(shard.manifest()[i].name, s);
        if (!added) {
          return Error(ErrorCode::kMalformed, fmt::format("{}: tensor {} is in {} too", names[s], QuoteName(info.name),
                                                          names[it->second]));
        }
        manifest_.Add(std::move(info));
        layouts_.push_back(std::move(layout));
      }
      next_storage_ += storages;
      metadata_.insert(shard.metadata().begin(), shard.metadata().end());
      others_.insert(others_.end(), shard.others().begin(), shard.others().end());
      for (const std::string& warning : shard.warnings()) warnings_.push_back(names[s] + ": " + warning);
    }
    return {};
  }

  std::string_view format() const override { return shards_.front()->format(); }
  int64_t storage_bytes(uint32_t storage) const override {
    const auto [shard, local] = Locate(storage);
    return shard->storage_bytes(local);
  }
  std::vector<FileExtent> storage_extents(uint32_t storage) const override {
    const auto [shard, local] = Locate(storage);
    return shard->storage_extents(local);
  }
  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override {
    const auto [shard, local] = Locate(storage);
    return shard->ReadStorage(local, offset, out);
  }
  Result<void> VerifyStorage(uint32_t storage) const override {
    const auto [shard, local] = Locate(storage);
    return shard->VerifyStorage(local);
  }
  Result<void> CheckUnchanged() const override {
    for (const auto& shard : shards_) CKMAP_RETURN_IF_ERROR(shard->CheckUnchanged());
    return {};
  }

 private:
  std::pair<const Checkpoint*, uint32_t> Locate(uint32_t storage) const {
    const auto next = std::upper_bound(first_storage_.begin(), first_storage_.end(), storage);
    const auto shard = static_cast<size_t>(next - first_storage_.begin()) - 1;
    return {shards_[shard].get(), storage - first_storage_[shard]};
  }

  std::vector<std::unique_ptr<Checkpoint>> shards_;
  std::vector<uint32_t> first_storage_;
  uint32_t next_storage_ = 0;
};

}  // namespace

Result<ShardIndex> ParseShardIndex(const std::string& path, const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(json).get(root)) {
    return Bad(path, fmt::format("not JSON: {}", simdjson::error_message(error)));
  }
  simdjson::dom::object map;
  if (root.get(map) != simdjson::SUCCESS) return Bad(path, "not a shard index: its JSON is no object");
  const bool has_map = root["weight_map"].error() == simdjson::SUCCESS;
  if (has_map && root["weight_map"].get(map) != simdjson::SUCCESS) {
    return Bad(path, "\"weight_map\" is no object");
  }
  ShardIndex index;
  std::unordered_set<std::string> names, shards;
  const std::string_view own_name = FileName(path);
  for (const auto [key, value] : map) {
    std::string_view shard;
    if (value.get(shard) != simdjson::SUCCESS) {
      return Bad(path, fmt::format("the shard of {} is no text{}", QuoteName(key),
                                   has_map ? "" : "; a shard index has a \"weight_map\" from names to files"));
    }
    if (const std::string problem = TensorNameProblem(key); !problem.empty()) {
      return Bad(path, fmt::format("{}: {}", QuoteName(key), problem));
    }
    if (const std::string problem = ShardNameProblem(shard, own_name); !problem.empty()) {
      return Bad(path, fmt::format("the shard {} of {} {}", QuoteName(shard), QuoteName(key), problem));
    }
    if (!names.emplace(key).second) return Bad(path, fmt::format("{} is named twice", QuoteName(key)));
    index.files.emplace_back(key, shard);
    if (shards.emplace(shard).second) index.shards.emplace_back(shard);
  }
  if (index.shards.empty()) return Bad(path, "the index names no shard");
  return index;
}

Result<std::unique_ptr<Checkpoint>> JoinShards(std::vector<std::unique_ptr<Checkpoint>> shards,
                                               const std::vector<std::string>& names) {
  CKMAP_CHECK(!shards.empty() && shards.size() == names.size());
  if (shards.size() == 1) return std::move(shards.front());
  auto joined = std::make_unique<JoinedCheckpoint>(std::move(shards));
  CKMAP_RETURN_IF_ERROR(joined->Join(names));
  return std::unique_ptr<Checkpoint>(std::move(joined));
}

Result<void> CheckIndex(const ShardIndex& index, const std::vector<std::unique_ptr<Checkpoint>>& shards,
                        const std::string& path) {
  std::unordered_map<std::string_view, size_t> shard_of;
  for (size_t s = 0; s < index.shards.size(); ++s) shard_of[index.shards[s]] = s;
  std::unordered_map<std::string_view, std::string_view> named;
  std::vector<std::string> problems;
  for (const auto& [name, shard] : index.files) {
    named[name] = shard;
    if (shards[shard_of[shard]]->manifest().Find(name)) continue;
    problems.push_back(fmt::format("{} should be in {}, which does not hold it", QuoteName(name), QuoteName(shard)));
  }
  for (size_t s = 0; s < shards.size() && s < index.shards.size(); ++s) {
    for (const TensorInfo& tensor : shards[s]->manifest().tensors()) {
      const auto found = named.find(tensor.name);
      if (found != named.end() && found->second == index.shards[s]) continue;
      problems.push_back(fmt::format("{} holds {}, which the index {}", QuoteName(index.shards[s]), QuoteName(tensor.name),
                                     found == named.end() ? "does not name" : "names elsewhere"));
    }
  }
  if (problems.empty()) return {};
  const size_t more = problems.size() > kMaxListed ? problems.size() - kMaxListed : 0;
  problems.resize(problems.size() - more);
  return Bad(path, fmt::format("the index and its shards disagree: {}{}", fmt::join(problems, "; "),
                               more > 0 ? fmt::format("; and {} more", more) : ""));
}

}  // namespace ckmap
