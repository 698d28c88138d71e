#include "runtime/formats/older_checkpoint.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/output_names.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/mf_checkpoint.h"
#include "runtime/formats/sharded/shard_index.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexEnding = ".index.json";
constexpr std::array<std::string_view, 4> kFoundByTransformers = {"model.safetensors", "model.safetensors.index.json",
                                                                  "pytorch_model.bin", "pytorch_model.bin.index.json"};

bool IsIndex(std::string_view name) { return name == kMindSporeIndex || name.ends_with(kIndexEnding); }

// "x-00001-of-00003.bin": "x.bin"; "" for a name that does not count.
std::string SetOfShard(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return "";
  std::string_view stem = name.substr(0, dot);
  const auto take_digits = [&stem] {
    const size_t end = stem.size();
    while (!stem.empty() && IsDigit(stem.back())) stem.remove_suffix(1);
    return stem.size() < end;
  };
  const auto take = [&stem](std::string_view text) {
    if (!stem.ends_with(text)) return false;
    stem.remove_suffix(text.size());
    return true;
  };
  if (!take_digits() || !take("-of-") || !take_digits() || !take("-") || stem.empty()) return "";
  return std::string(stem) + std::string(name.substr(dot));
}

class Search {
 public:
  Search(const std::string& path, bool whole_folder)
      : folder_(FolderOf(path)), name_(path.substr(path.rfind('/') + 1)), whole_folder_(whole_folder) {
    set_ = SetOfShard(name_);
    if (set_.empty()) set_ = name_;
  }

  Result<OlderCheckpoint> Find() {
    std::error_code error;
    if (!fs::exists(folder_, error)) {
      if (!error) return OlderCheckpoint{};
      return Error(ErrorCode::kIo, fmt::format("{}: cannot find out what is there: {}", folder_, error.message()));
    }
    CKMAP_ASSIGN_OR_RETURN(names_, ListFolder(folder_));
    mindformers_ = whole_folder_ && (MfTensorFileTotal(name_) > 0 ||
                                     std::any_of(names_.begin(), names_.end(),
                                                 [](const std::string& name) { return MfTensorFileTotal(name) > 0; }));
    for (const std::string& name : names_) CKMAP_RETURN_IF_ERROR(Look(name));
    OlderCheckpoint older;
    for (const std::string& name : indexes_) older.replaced.push_back(Path(name));
    for (const std::string& name : shards_) {
      if (fs::symlink_status(Path(name), error).type() != fs::file_type::not_found)
        older.replaced.push_back(Path(name));
    }
    for (const std::string& name : weights_) {
      if (!shards_.contains(name)) older.left.push_back(name);
    }
    if (!whole_folder_ && set_ == "pytorch_model.bin") {
      for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
        if (std::binary_search(names_.begin(), names_.end(), name)) older.preferred = name;
      }
    }
    others_.erase(older.preferred);
    older.beside.assign(others_.begin(), others_.end());
    return older;
  }

 private:
  std::string Path(const std::string& name) const {
    return folder_ == "." ? name : (fs::path(folder_) / name).string();
  }

  Result<void> Look(const std::string& name) {
    if (whole_folder_ && IsMfRootEntry(name)) return Stands(name, "a checkpoint of MindFormers");
    if (!whole_folder_ && DescribesFolder(name)) others_.insert(name);
    if (mindformers_ && (name == "metadata.json" || name == "common.json")) {
      indexes_.insert(name);
      return {};
    }
    if (name.starts_with('.')) {
      return whole_folder_ && name == ".metadata" ? Stands(name, "a checkpoint of torch.distributed") : Result<void>();
    }
    std::error_code error;
    if (fs::is_directory(Path(name), error)) {
      return whole_folder_ && name == "rank_0" ? Stands(name, "a checkpoint of ranks") : Result<void>();
    }
    if (IsIndex(name)) return Index(name);
    if (!IsWeightsName(name)) return {};
    const std::string set = SetOfShard(name);
    if (whole_folder_ ? !set.empty() || IsFoundByTransformers(name) || MfTensorFileTotal(name) > 0
                      : name == set_ || set == set_) {
      shards_.insert(name);
    } else if (whole_folder_) {
      weights_.insert(name);
    }
    return {};
  }

  // What makes a folder a checkpoint, besides an index.
  bool DescribesFolder(const std::string& name) const {
    std::error_code error;
    return name == ".metadata" || IsMfRootEntry(name) || MfTensorFileTotal(name) > 0 ||
           (name == "rank_0" && fs::is_directory(Path(name), error));
  }

  static bool IsFoundByTransformers(std::string_view name) {
    return std::find(kFoundByTransformers.begin(), kFoundByTransformers.end(), name) != kFoundByTransformers.end();
  }

  Error Stands(const std::string& name, std::string_view what) const {
    return {ErrorCode::kUsage,
            fmt::format("{}: holds {} (`{}`), which readers would take in place of the output; it is never removed "
                        "here: remove it, or choose another folder",
                        folder_, what, EscapeText(name))};
  }

  Result<void> Index(const std::string& name) {
    const bool replaced = whole_folder_ || name == set_ + std::string(kIndexEnding);
    const auto text = PeekTextFile(Path(name));  // the run does not depend on it
    const auto tensors =
        text ? ParseShardIndex(*text, name == kMindSporeIndex) : Result<std::vector<IndexedTensor>>(text.error());
    if (replaced) indexes_.insert(name);
    if (!tensors) return {};  // one that nobody can read leads nobody to a shard
    if (!replaced) others_.insert(name);
    for (const IndexedTensor& tensor : *tensors) {
      if (replaced) {
        // Never a file that no checkpoint would be, nor one in a folder below, whatever an index says.
        if (tensor.file.find('/') == std::string::npos && IsWeightsName(tensor.file)) shards_.insert(tensor.file);
      } else if (tensor.file == name_) {
        return Error(
            ErrorCode::kUsage,
            fmt::format(
                "{}: is a shard of `{}`, whose other shards would stay: remove that index, or choose another name",
                Path(name_), EscapeText(Path(name))));
      }
    }
    if (replaced && name == kMindSporeIndex) shards_.insert(std::string(kMindSporeExtra));
    return {};
  }

  std::string folder_;
  std::string name_;
  bool whole_folder_;
  bool mindformers_ = false;  // a checkpoint of MindFormers is there, or is written
  std::string set_;
  std::vector<std::string> names_;
  std::set<std::string> indexes_, shards_, weights_;
  std::set<std::string> others_;  // beside a file: what describes another checkpoint
};

std::string Listed(const std::vector<std::string>& paths) {
  constexpr size_t kShown = 20;
  std::string text;
  for (size_t i = 0; i < paths.size() && i < kShown; ++i) {
    text += fmt::format("{}`{}`", i == 0 ? "" : ", ", EscapeText(paths[i].substr(paths[i].rfind('/') + 1)));
  }
  if (paths.size() > kShown) text += fmt::format(" and {} more", paths.size() - kShown);
  return text;
}

}  // namespace

Result<OlderCheckpoint> FindOlderCheckpoint(const std::string& path, bool whole_folder) {
  return Search(path, whole_folder).Find();
}

Result<void> ReplaceOlderCheckpoint(const std::string& path, bool whole_folder, bool force, CheckpointWriter& writer) {
  OutputSet& set = writer.files();
  CKMAP_ASSIGN_OR_RETURN(OlderCheckpoint older, FindOlderCheckpoint(path, whole_folder));
  std::erase_if(older.replaced, [&set](const std::string& file) {
    for (size_t i = 0; i < set.file_count(); ++i) {
      if (set.path(i) == file) return true;
    }
    return false;
  });
  for (const std::string& file : older.replaced) CKMAP_RETURN_IF_ERROR(CheckIsNotInput(file));
  if (!older.replaced.empty()) {
    if (!force) {
      return Error(ErrorCode::kUsage, fmt::format("{}: an older checkpoint is there already ({}); --force replaces it",
                                                  whole_folder ? FolderOf(path) : path, Listed(older.replaced)));
    }
    writer.Warn("files of the older checkpoint that is replaced are removed: " + Listed(older.replaced));
  }
  if (!older.left.empty()) {
    writer.Warn("files with other weights stay beside the output and are not part of it: " + Listed(older.left));
  }
  if (!older.preferred.empty()) {
    writer.Warn(
        fmt::format("`{}` stays beside the output, and transformers loads it in place of the output", older.preferred));
  }
  if (!older.beside.empty()) {
    writer.Warn(fmt::format("{} {} beside the output: whoever reads the folder takes the checkpoint that {}",
                            Listed(older.beside), older.beside.size() == 1 ? "stays" : "stay",
                            older.beside.size() == 1 ? "it describes" : "they describe"));
  }
  set.ReplaceAlso([path, whole_folder]() -> Result<std::vector<std::string>> {
    CKMAP_ASSIGN_OR_RETURN(OlderCheckpoint now, FindOlderCheckpoint(path, whole_folder));
    return std::move(now.replaced);
  });
  return {};
}

}  // namespace ckmap
