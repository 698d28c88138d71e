#include "runtime/formats/mindspore/ms_ranks.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/ms_ckpt.h"
#include "runtime/formats/mindspore/ms_strategy.h"
#include "runtime/formats/storage/byte_source.h"
#include "runtime/formats/storage/joined_checkpoint.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxRanks = 65536;
constexpr int64_t kMaxCompared = int64_t{1} << 20;

Error Bad(const std::string& where, std::string_view message) {
  return {ErrorCode::kMalformed, fmt::format("{}: {}", where, message)};
}

bool IsWeights(const fs::path& path) { return path.extension() == ".ckpt" || path.extension() == ".safetensors"; }

// Puts the ranks' tensors together.
class Merger {
 public:
  explicit Merger(std::vector<std::unique_ptr<Checkpoint>> ranks)
      : merged_(std::make_unique<JoinedCheckpoint>("ms-ckpt-ranks", std::move(ranks))), ranks_(merged_->parts()) {}

  Result<void> Merge(const std::map<std::string, ParallelLayout>& layouts);
  std::unique_ptr<Checkpoint> Take() { return std::move(merged_); }

 private:
  struct Holder {
    size_t rank;
    size_t tensor;  // in the rank's manifest
  };

  Result<void> MergeTensor(const std::string& name, const std::vector<Holder>& holders, const ParallelLayout* layout);
  Result<void> CheckRedundancy() const;
  Result<void> CheckHolder(const TensorInfo& first, const Holder& holder) const;
  Result<void> CheckAlike(const std::vector<Holder>& holders) const;
  const TensorInfo& InfoOf(const Holder& holder) const { return ranks_[holder.rank]->manifest()[holder.tensor]; }

  std::unique_ptr<JoinedCheckpoint> merged_;
  const std::vector<std::unique_ptr<Checkpoint>>& ranks_;
  std::string lacking_;     // a tensor that some rank does not hold; ""
  std::string replicated_;  // a tensor of which several ranks hold one slice; ""
};

Result<void> Merger::Merge(const std::map<std::string, ParallelLayout>& layouts) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<Holder>> holders;
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    const Manifest& manifest = ranks_[rank]->manifest();
    for (size_t i = 0; i < manifest.size(); ++i) {
      auto& list = holders[manifest[i].name];
      if (list.empty()) order.push_back(manifest[i].name);
      list.push_back({rank, i});
    }
  }
  std::vector<std::string> whole;
  for (const std::string& name : order) {
    const auto layout = layouts.find(name);
    if (layout == layouts.end()) whole.push_back(name);
    auto merged = MergeTensor(name, holders[name], layout == layouts.end() ? nullptr : &layout->second);
    if (!merged) return std::move(merged).error().Context(QuoteName(name));
  }
  CKMAP_RETURN_IF_ERROR(CheckRedundancy());
  for (const auto& [name, layout] : layouts) {
    if (!holders.contains(name))
      merged_->AddWarning(fmt::format("the strategy names {}, which no rank holds", QuoteName(name)));
  }
  if (!whole.empty()) {
    merged_->AddWarning(
        fmt::format("in no layout of the strategy, so taken whole from the first rank: {}", NameSome(whole)));
  }
  for (const OtherEntry& entry : ranks_[0]->others()) merged_->AddOther(entry);
  return {};
}

// MindSpore saves every slice in all ranks that have it, or (remove_redundancy) each in one of them.
Result<void> Merger::CheckRedundancy() const {
  if (lacking_.empty() || replicated_.empty()) return {};
  return Error(
      ErrorCode::kMalformed,
      fmt::format(
          "a rank does not hold {}, though slices that are alike are not left out: several ranks hold one of {}. "
          "Is a rank's file damaged, or of another run?",
          QuoteName(lacking_), QuoteName(replicated_)));
}

Result<void> Merger::CheckHolder(const TensorInfo& first, const Holder& holder) const {
  const TensorInfo& info = InfoOf(holder);
  if (!info.unreadable.empty())
    return Error(ErrorCode::kMalformed, fmt::format("rank {}: {}", holder.rank, info.unreadable));
  if (info.dtype != first.dtype || info.shape != first.shape) {
    return Error(ErrorCode::kMalformed,
                 fmt::format("it is {} {} in one rank and {} {} in rank {}", DTypeName(first.dtype),
                             FormatShape(first.shape), DTypeName(info.dtype), FormatShape(info.shape), holder.rank));
  }
  std::vector<int64_t> dense = RowMajorStrides(info.shape);
  for (int64_t& stride : dense) stride *= DTypeSize(info.dtype);
  const TensorLayout& layout = ranks_[holder.rank]->layout(holder.tensor);
  if (layout.offset == 0 && layout.strides == dense) return {};
  return Error(ErrorCode::kMalformed, fmt::format("rank {} holds it in another form than its type says", holder.rank));
}

// A parameter that the strategy does not name may be whole in every rank, or cut by a strategy that is not all there:
// only equal bytes tell. MindSpore leaves it out of no rank.
Result<void> Merger::CheckAlike(const std::vector<Holder>& holders) const {
  if (holders.size() != ranks_.size()) {
    return Error(ErrorCode::kMalformed,
                 fmt::format("is in no layout of the strategy, and {} of {} ranks hold it: is the strategy "
                             "file complete?",
                             holders.size(), ranks_.size()));
  }
  const int64_t bytes = *NumBytes(InfoOf(holders[0]).shape, InfoOf(holders[0]).dtype);
  if (bytes > kMaxCompared) {
    return Error(ErrorCode::kMalformed,
                 fmt::format("is in no layout of the strategy, and too large ({} bytes) to be one of the "
                             "numbers that all ranks have alike: is the strategy file complete?",
                             bytes));
  }
  std::vector<std::byte> first(static_cast<size_t>(bytes));
  std::vector<std::byte> other(first.size());
  const auto read = [this](const Holder& holder, std::vector<std::byte>& out) {
    const Checkpoint& rank = *ranks_[holder.rank];
    return rank.ReadStorage(rank.layout(holder.tensor).storage, 0, out);
  };
  CKMAP_RETURN_IF_ERROR(read(holders[0], first));
  for (size_t i = 1; i < holders.size(); ++i) {
    CKMAP_RETURN_IF_ERROR(read(holders[i], other));
    if (first != other) {
      return Error(ErrorCode::kMalformed,
                   fmt::format("is in no layout of the strategy, and ranks {} and {} hold other values of "
                               "it: is the strategy file complete?",
                               holders[0].rank, holders[i].rank));
    }
  }
  return {};
}

Result<void> Merger::MergeTensor(const std::string& name, const std::vector<Holder>& holders,
                                 const ParallelLayout* layout) {
  const TensorInfo& first = InfoOf(holders[0]);
  if (DTypeBits(first.dtype) % 8 != 0) return Error(ErrorCode::kMalformed, "elements below a byte cannot be merged");
  TensorInfo info;
  info.name = name;
  info.dtype = first.dtype;
  info.shape = first.shape;
  std::vector<JoinedSlice> slices;
  std::map<Shape, size_t> places;  // replicas come once
  for (const Holder& holder : holders) {
    CKMAP_RETURN_IF_ERROR(CheckHolder(first, holder));
    RankSlice slice{.whole = first.shape, .offsets = Shape(first.shape.size(), 0)};
    if (layout != nullptr) {
      CKMAP_ASSIGN_OR_RETURN(slice, PlaceSlice(*layout, first.shape, static_cast<int64_t>(holder.rank),
                                               static_cast<int64_t>(ranks_.size())));
    }
    info.shape = slice.whole;
    if (!places.emplace(slice.offsets, slices.size()).second) {
      if (layout != nullptr && replicated_.empty()) replicated_ = name;
      continue;
    }
    slices.push_back({holder.rank, holder.tensor, slice.offsets});
  }
  if (layout == nullptr) CKMAP_RETURN_IF_ERROR(CheckAlike(holders));
  if (lacking_.empty() && holders.size() < ranks_.size()) lacking_ = name;
  return merged_->AddTensor(std::move(info), slices);
}

// The files of ranks 0, 1, …, one each.
Result<std::vector<std::string>> RankFiles(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (size_t rank = 0; rank < kMaxRanks; ++rank) {
    const fs::path path = fs::path(folder) / fmt::format("rank_{}", rank);
    if (!fs::is_directory(path, error)) break;
    std::vector<std::string> found;
    CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(path.string()));
    for (const std::string& name : names) {
      if (IsWeights(name)) found.push_back((path / name).string());
    }
    if (found.empty()) return Bad(path.string(), "holds no .ckpt and no .safetensors");
    if (found.size() > 1) {
      return Bad(path.string(), fmt::format("holds {} checkpoints ({} is the last); leave one in each rank's folder",
                                            found.size(), EscapeText(fs::path(found.back()).filename().string())));
    }
    files.push_back(found[0]);
  }
  CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder));
  const auto folders = static_cast<size_t>(
      std::count_if(names.begin(), names.end(), [](const std::string& name) { return name.starts_with("rank_"); }));
  if (folders != files.size()) {
    return Bad(folder, fmt::format("has {} folders of ranks, but rank_{} is missing", folders, files.size()));
  }
  return files;
}

Result<std::string> FindStrategy(const std::string& folder) {
  std::vector<std::string> found;
  CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder));
  for (const std::string& name : names) {
    const std::string path = (fs::path(folder) / name).string();
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored)) continue;
    if (name.ends_with(".json")) {
      const auto text = ReadTextFile(path);
      if (text && LooksLikeJsonStrategy(*text)) found.push_back(path);
      continue;
    }
    auto file = InputFile::Open(path);
    if (file && file->size() > 0 && LooksLikeMsStrategy(*MakePlainSource(*std::move(file)))) found.push_back(path);
  }
  if (found.size() == 1) return found[0];
  return Bad(folder, fmt::format("has folders of ranks and {}: {}",
                                 found.empty() ? "no strategy file" : "several strategy files",
                                 "name it with --strategy, or name the file of one rank"));
}

}  // namespace

bool LooksLikeMsRanks(const std::string& folder) {
  std::error_code ignored;
  return fs::is_directory(fs::path(folder) / "rank_0", ignored);
}

Result<std::unique_ptr<Checkpoint>> OpenMsRanks(const std::string& folder, const std::string& strategy,
                                                const OpenRankFn& open_rank) {
  std::string path = strategy;
  if (path.empty()) {
    CKMAP_ASSIGN_OR_RETURN(path, FindStrategy(folder));
  }
  CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  const auto source = MakePlainSource(std::move(file));
  if (!path.ends_with(".json") && !LooksLikeMsStrategy(*source))
    return Bad(path, "is no strategy file of MindSpore, in protobuf or (*.json) JSON");
  CKMAP_ASSIGN_OR_RETURN(const auto layouts, ReadStrategy(*source));
  CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> files, RankFiles(folder));
  std::vector<std::unique_ptr<Checkpoint>> ranks;
  for (const std::string& rank : files) {
    CKMAP_ASSIGN_OR_RETURN(auto checkpoint, open_rank(rank));
    ranks.push_back(std::move(checkpoint));
  }
  Merger merger(std::move(ranks));
  if (auto ok = merger.Merge(layouts); !ok) return std::move(ok).error().Context(folder);
  return merger.Take();
}

}  // namespace ckmap
