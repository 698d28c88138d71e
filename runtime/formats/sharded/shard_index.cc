#include "runtime/formats/sharded/shard_index.h"
#include "runtime/base/json_document.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/json_strict.h"
#include "runtime/base/malformed.h"
#include "runtime/base/mistake_list.h"
#include "runtime/base/run_files.h"
#include "runtime/base/text.h"
#include "runtime/formats/sharded/sharded_checkpoint.h"
#include "runtime/formats/storage/contained_path.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;
namespace ondemand = simdjson::ondemand;

constexpr std::array<std::string_view, 12> kEndings = {".safetensors", ".ckpt", ".bin",  ".pt",   ".pth", ".mindir",
                                                       ".npz",         ".npy",  ".gguf", ".onnx", ".h5",  ".keras"};
constexpr size_t kMaxShards = 10'000;

Error BadJson(simdjson::error_code error) {
  return Malformed(fmt::format("not a valid index: {}", simdjson::error_message(error)));
}

class IndexParser {
 public:
  explicit IndexParser(bool may_be_flat) : may_be_flat_(may_be_flat) {}

  Result<std::vector<IndexedTensor>> Parse(std::string text) {
    if (FindLoneSurrogate(text) != std::string::npos) return Malformed("holds half of a surrogate pair");
    // Reading on demand does not look at values that are passed over.
    simdjson::dom::parser validator;
    const auto invalid = validator.parse(text).error();
    ThrowIfOutOfMemory(invalid);
    if (invalid) return BadJson(invalid);
    const size_t length = text.size();
    text.resize(length + simdjson::SIMDJSON_PADDING, ' ');
    ondemand::parser parser;
    ondemand::document document;
    if (auto e = BeginJson(parser, text, length, document)) return BadJson(e);
    ondemand::object root;
    if (auto e = document.get_object().get(root)) return BadJson(e);
    CKMAP_RETURN_IF_ERROR(Root(root));
    if (!document.current_location().error()) return Malformed("something follows the JSON object");
    if (!mistakes_.empty()) return mistakes_.ToError(ErrorCode::kMalformed, "the index");
    if (!has_map_ && !may_be_flat_)
      return Malformed("has no `weight_map`: it does not say which file holds which tensor");
    return std::move(tensors_);
  }

 private:
  Result<void> Root(ondemand::object& root) {
    std::unordered_set<std::string> keys;
    std::vector<IndexedTensor> flat;
    for (auto item : root) {
      ondemand::field field;
      if (auto e = std::move(item).get(field)) return BadJson(e);
      std::string_view key;
      if (auto e = field.unescaped_key().get(key)) return BadJson(e);
      if (!keys.emplace(key).second) return Malformed(fmt::format("key {} is given twice", QuoteName(key)));
      const std::string name(key);
      ondemand::value value = field.value();
      ondemand::json_type type{};
      if (auto e = value.type().get(type)) return BadJson(e);
      if (name == "weight_map" && type == ondemand::json_type::object) {
        has_map_ = true;
        ondemand::object map;
        if (auto e = value.get_object().get(map)) return BadJson(e);
        CKMAP_RETURN_IF_ERROR(Map(map));
      } else if (may_be_flat_ && name != "metadata") {
        CKMAP_RETURN_IF_ERROR(Tensor(name, value, flat));
      } else if (name == "weight_map") {
        return Malformed("`weight_map` is not an object");
      }
    }
    if (!has_map_) tensors_ = std::move(flat);
    return {};
  }

  Result<void> Map(ondemand::object& map) {
    std::unordered_set<std::string> names;
    for (auto item : map) {
      ondemand::field field;
      if (auto e = std::move(item).get(field)) return BadJson(e);
      std::string_view key;
      if (auto e = field.unescaped_key().get(key)) return BadJson(e);
      if (!names.emplace(key).second) {
        mistakes_.Add(fmt::format("tensor {} is given twice", QuoteName(key)));
      }
      CKMAP_RETURN_IF_ERROR(Tensor(std::string(key), field.value(), tensors_));
    }
    return {};
  }

  Result<void> Tensor(std::string name, ondemand::value value, std::vector<IndexedTensor>& tensors) {
    std::string_view file;
    if (auto e = value.get_string().get(file)) {
      if (e != simdjson::INCORRECT_TYPE) return BadJson(e);
      mistakes_.Add(fmt::format("tensor {}: its file is not given as text", QuoteName(name)));
      return {};
    }
    if (const std::string problem = ContainedPathProblem(file); !problem.empty()) {
      mistakes_.Add(fmt::format("tensor {}: the file {} {}", QuoteName(name), QuoteName(file), problem));
      return {};
    }
    tensors.push_back({std::move(name), std::string(file)});
    return {};
  }

  bool may_be_flat_;
  bool has_map_ = false;
  std::vector<IndexedTensor> tensors_;
  MistakeList mistakes_;
};

// The tensors of each shard must be those that the index gives it, and no others.
Result<void> CheckAgainstIndex(const std::vector<IndexedTensor>& tensors, const std::vector<Shard>& shards) {
  std::unordered_map<std::string_view, std::string_view> file_of;
  for (const IndexedTensor& tensor : tensors) file_of.emplace(tensor.name, tensor.file);
  MistakeList mistakes;
  size_t found = 0;
  std::unordered_map<std::string_view, const Checkpoint*> opened;
  for (const Shard& shard : shards) {
    opened.emplace(shard.file, shard.checkpoint.get());
    if (shard.file == kMindSporeExtra && !file_of.empty() &&
        std::none_of(tensors.begin(), tensors.end(), [](const auto& t) { return t.file == kMindSporeExtra; })) {
      continue;
    }
    for (const TensorInfo& info : shard.checkpoint->manifest().tensors()) {
      const auto entry = file_of.find(info.name);
      if (entry == file_of.end()) {
        mistakes.Add(
            fmt::format("{} holds {}, which the index does not name", EscapeText(shard.file), QuoteName(info.name)));
      } else if (entry->second != shard.file) {
        mistakes.Add(fmt::format("{} holds {}, which the index places in {}", EscapeText(shard.file),
                                 QuoteName(info.name), EscapeText(entry->second)));
      } else {
        ++found;
      }
    }
  }
  if (found != file_of.size()) {
    for (const IndexedTensor& tensor : tensors) {
      if (opened.at(tensor.file)->manifest().Find(tensor.name)) continue;
      mistakes.Add(fmt::format("the index places {} in {}, which does not hold it", QuoteName(tensor.name),
                               EscapeText(tensor.file)));
    }
  }
  if (!mistakes.empty()) return mistakes.ToError(ErrorCode::kMalformed, "the index does not fit its shards");
  return {};
}

// "model-00002-of-00004.safetensors": 4; 0 for names that do not count.
int PromisedShards(std::string_view file) {
  const size_t at = file.rfind("-of-");
  if (at == std::string_view::npos) return 0;
  const std::string_view rest = file.substr(at + 4);
  int count = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
  return error == std::errc() && count > 0 && (end == rest.data() + rest.size() || *end == '.') ? count : 0;
}

struct FolderContent {
  std::vector<std::string> indexes;
  std::map<std::string_view, std::vector<std::string>> by_ending;
  bool has_ranks = false;
};

Result<FolderContent> SortFolder(const std::string& folder) {
  FolderContent content;
  CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder));
  for (const std::string& name : names) {
    std::error_code ignored;
    if (fs::is_directory(fs::path(folder) / name, ignored)) {
      content.has_ranks |= name.starts_with("rank_");
    } else if (name == kMindSporeIndex || name.ends_with(".index.json")) {
      content.indexes.push_back(name);
    } else if (!name.starts_with('.')) {
      for (const std::string_view ending : kEndings) {
        if (name.ends_with(ending)) content.by_ending[ending].push_back(name);
      }
    }
  }
  return content;
}

Result<std::vector<Shard>> OpenAll(const fs::path& folder, const std::vector<std::string>& files,
                                   const OpenFileFn& open_file) {
  if (files.size() > kMaxShards) {
    return Error(ErrorCode::kLimit, fmt::format("{} shards, at most {} are read", files.size(), kMaxShards));
  }
  std::vector<Shard> shards;
  for (const std::string& file : files) {
    CKMAP_ASSIGN_OR_RETURN(auto checkpoint, open_file((folder / file).string()));
    shards.push_back({file, std::move(checkpoint)});
  }
  return shards;
}

}  // namespace

bool IsWeightsName(std::string_view name) {
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

Result<std::vector<IndexedTensor>> ParseShardIndex(std::string_view json, bool may_be_flat) {
  return IndexParser(may_be_flat).Parse(std::string(json));
}

bool MayBeShardIndex(const std::string& path) { return path.ends_with(".json"); }

bool LooksLikeShardIndex(const std::string& path, std::string_view text) {
  const std::string name = fs::path(path).filename().string();
  if (name == kMindSporeIndex || name.ends_with(".index.json")) return true;
  if (!name.ends_with(".json")) return false;
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' && text.find("\"weight_map\"") != std::string_view::npos;
}

Result<std::unique_ptr<Checkpoint>> OpenShardIndex(const std::string& index_path, const OpenFileFn& open_file) {
  CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(index_path));
  return OpenShardIndex(index_path, text, open_file);
}

Result<std::unique_ptr<Checkpoint>> OpenShardIndex(const std::string& index_path, std::string_view text,
                                                   const OpenFileFn& open_file) {
  const fs::path path(index_path);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  EnterInputFolder(folder.string());
  const bool mindspore = path.filename() == kMindSporeIndex;
  auto tensors = ParseShardIndex(text, mindspore);
  if (!tensors) return std::move(tensors).error().Context(index_path);
  std::vector<std::string> files;
  std::unordered_set<std::string_view> seen;
  for (const IndexedTensor& tensor : *tensors) {
    if (seen.insert(tensor.file).second) files.push_back(tensor.file);
  }
  std::error_code ignored;
  if (mindspore && fs::is_regular_file(folder / kMindSporeExtra, ignored) && seen.insert(kMindSporeExtra).second) {
    files.emplace_back(kMindSporeExtra);
  }
  if (files.empty()) return Malformed(index_path + ": names no tensor");
  MistakeList mistakes;
  for (const std::string& file : files) {
    if (!FolderStaysInside(folder, file)) {
      mistakes.Add(fmt::format("the shard {} lies outside the folder of the index", QuoteName(file)));
    } else if (!fs::exists(folder / file, ignored)) {
      mistakes.Add(fmt::format("the shard {} is not there", QuoteName(file)));
    }
  }
  if (!mistakes.empty()) return mistakes.ToError(ErrorCode::kMalformed, index_path);
  CKMAP_ASSIGN_OR_RETURN(std::vector<Shard> shards, OpenAll(folder, files, open_file));
  if (auto fits = CheckAgainstIndex(*tensors, shards); !fits) return std::move(fits).error().Context(index_path);
  auto joined = JoinShards(std::move(shards));
  if (!joined) return std::move(joined).error().Context(index_path);
  return joined;
}

Result<std::unique_ptr<Checkpoint>> OpenShardFolder(const std::string& folder, const OpenFileFn& open_file) {
  CKMAP_ASSIGN_OR_RETURN(const FolderContent content, SortFolder(folder));
  const auto usage = [&folder](std::string_view what) {
    return Error(ErrorCode::kUsage, fmt::format("{}: {}", folder, what));
  };
  if (content.indexes.size() == 1) return OpenShardIndex((fs::path(folder) / content.indexes[0]).string(), open_file);
  if (content.indexes.size() > 1) {
    return usage(fmt::format("has several indexes ({} and {}); name one of them", EscapeText(content.indexes[0]),
                             EscapeText(content.indexes[1])));
  }
  if (content.by_ending.empty()) {
    return Malformed(folder +
                     (content.has_ranks
                          ? ": has folders of ranks but no merged checkpoint; merge the ranks first "
                            "(mindspore.unified_safetensors or transform_checkpoints), or name the file of one rank"
                          : ": no checkpoint in this folder"));
  }
  if (content.by_ending.size() > 1) {
    return usage(fmt::format("has checkpoints of several kinds (*{} and *{}); name a file",
                             content.by_ending.begin()->first, std::next(content.by_ending.begin())->first));
  }
  const std::vector<std::string>& files = content.by_ending.begin()->second;
  const int promised = PromisedShards(files[0]);
  if (promised > 0 && static_cast<size_t>(promised) > files.size()) {
    return Malformed(fmt::format("{}: {} is one of {} shards, but only {} are there", folder, EscapeText(files[0]),
                                 promised, files.size()));
  }
  if (files.size() == 1) return open_file((fs::path(folder) / files[0]).string());
  CKMAP_ASSIGN_OR_RETURN(std::vector<Shard> shards, OpenAll(folder, files, open_file));
  auto joined = JoinShards(std::move(shards));
  if (!joined) {
    return usage(fmt::format("there is no index, and {}. If these are several checkpoints, name one of them",
                             joined.error().message()));
  }
  return joined;
}

}  // namespace ckmap
