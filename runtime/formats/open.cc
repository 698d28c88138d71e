// Which format a path holds is decided by content alone: of the formats in the table below exactly
// one must fit.
#include "runtime/formats/open.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/file.h"
#include "runtime/formats/byte_source.h"
#include "runtime/formats/mindir.h"
#include "runtime/formats/ms_ckpt.h"
#include "runtime/formats/ms_crypto.h"
#include "runtime/formats/safetensors.h"
#include "runtime/formats/sharded.h"
#include "runtime/formats/spec.h"
#include "runtime/formats/tensor_name.h"
#include "runtime/formats/torch.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

using Opened = Result<std::unique_ptr<Checkpoint>>;

Error Bad(const std::string& path, std::string message) {
  return Error(ErrorCode::kMalformed, std::move(message)).Context(path);
}

// What the recognisers look at.
struct Candidate {
  const std::string& path;
  const InputFile& file;
  std::vector<std::byte> head;
  const ByteSource& plain;  // the file as it is
};

struct Format {
  const char* name;
  bool (*fits)(const Candidate&);
  Opened (*open)(const std::string& path, const OpenOptions& options);
};

Opened OpenPlain(const std::string& path, Opened (*open)(std::unique_ptr<ByteSource>)) {
  CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  return open(MakePlainSource(std::move(file)));
}

// One line a format.
constexpr Format kFormats[] = {
    {"safetensors", [](const Candidate& c) { return LooksLikeSafetensors(c.file); },
     [](const std::string& path, const OpenOptions&) { return OpenSafetensors(path); }},
    {"torch zip", [](const Candidate& c) { return LooksLikeTorchZip(c.head); }, OpenTorchZip},
    {"torch legacy", [](const Candidate& c) { return LooksLikeTorchLegacy(c.head); }, OpenTorchLegacy},
    {"torch tar", [](const Candidate& c) { return LooksLikeTorchTar(c.head); }, OpenTorchTar},
    {"MindSpore .ckpt", [](const Candidate& c) { return LooksLikeMsCkpt(c.plain); },
     [](const std::string& path, const OpenOptions&) { return OpenPlain(path, OpenMsCkpt); }},
    {"MindIR", [](const Candidate& c) { return LooksLikeMindIr(c.plain); },
     [](const std::string& path, const OpenOptions&) { return OpenPlain(path, OpenMindIr); }},
};

Opened OpenEncrypted(const std::string& path, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  CKMAP_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, OpenDecrypted(std::move(file), options));
  if (LooksLikeMindIr(*source)) return OpenMindIr(std::move(source));
  if (LooksLikeMsCkpt(*source)) return OpenMsCkpt(std::move(source));
  return Bad(path, "what decrypts is neither a .ckpt nor a MindIR: the key is wrong, or the file is of another kind");
}

// The formats that a file may be of; empty for text and for what nobody knows.
Result<std::vector<const Format*>> FittingFormats(const std::string& path, bool& encrypted, bool& strategy) {
  CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  CKMAP_ASSIGN_OR_RETURN(InputFile again, InputFile::Open(path));
  const std::unique_ptr<ByteSource> plain = MakePlainSource(std::move(again));
  std::vector<std::byte> head(static_cast<size_t>(std::min<int64_t>(file.size(), kTorchHeadBytes)));
  CKMAP_RETURN_IF_ERROR(file.ReadAt(0, head));
  encrypted = DetectCipher(file).has_value();
  strategy = LooksLikeMsStrategy(*plain);
  std::vector<const Format*> fitting;
  const Candidate candidate{path, file, std::move(head), *plain};
  for (const Format& format : kFormats) {
    if (format.fits(candidate)) fitting.push_back(&format);
  }
  return fitting;
}

Opened OpenFile(const std::string& path, const OpenOptions& options) {
  bool encrypted = false, strategy = false;
  CKMAP_ASSIGN_OR_RETURN(const std::vector<const Format*> fitting, FittingFormats(path, encrypted, strategy));
  if (encrypted && fitting.empty()) return OpenEncrypted(path, options);
  if (fitting.size() == 1 && !encrypted) return fitting.front()->open(path, options);
  if (fitting.size() > 1 || encrypted) {
    std::vector<std::string> names;
    for (const Format* format : fitting) names.emplace_back(format->name);
    if (encrypted) names.emplace_back("an encrypted MindSpore file");
    return Bad(path, fmt::format("looks like several formats at once ({}); such a file is refused", fmt::join(names, ", ")));
  }
  if (strategy) {
    return Bad(path, "a parallel strategy of MindSpore, which says how tensors are cut and holds none; the weights are in rank_*/");
  }
  return Bad(path, "of no known format (safetensors, torch .pt/.pth/.bin, MindSpore .ckpt or .mindir)");
}

// ---- shards ------------------------------------------------------------------------------------

Opened OpenIndex(const std::string& path, const std::string& text, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(const ShardIndex index, ParseShardIndex(path, text));
  const fs::path folder = fs::path(path).parent_path();
  std::vector<std::unique_ptr<Checkpoint>> shards;
  std::vector<std::string> names;
  for (const std::string& shard : index.shards) {
    const std::string shard_path = (folder / shard).string();
    std::error_code error;
    if (!fs::exists(shard_path, error)) {
      return Bad(path, fmt::format("the index names the shard {}, which is not there; is the download complete?", QuoteName(shard)));
    }
    CKMAP_ASSIGN_OR_RETURN(auto open, OpenFile(shard_path, options));
    shards.push_back(std::move(open));
    names.push_back(shard_path);
  }
  CKMAP_RETURN_IF_ERROR(CheckIndex(index, shards, path));
  // unified_safetensors puts what the strategy does not name in a file that its index leaves out.
  const std::string extra = (folder / "hyper_param.safetensors").string();
  std::error_code error;
  if (fs::path(path).filename() == "param_name_map.json" && fs::exists(extra, error)) {
    CKMAP_ASSIGN_OR_RETURN(auto open, OpenFile(extra, options));
    shards.push_back(std::move(open));
    names.push_back(extra);
  }
  return JoinShards(std::move(shards), names);
}

struct FolderContent {
  std::vector<std::string> indexes;
  std::map<std::string, std::vector<std::string>> by_kind;  // ending → files
  bool ranks = false;
};

Result<FolderContent> ListFolder(const std::string& path) {
  FolderContent content;
  std::error_code error;
  fs::directory_iterator entries(path, error);
  if (error) return IoError("cannot list the folder", error.value()).Context(path);
  for (const fs::directory_iterator end; entries != end; entries.increment(error)) {
    if (error) return IoError("cannot list the folder", error.value()).Context(path);
    const std::string name = entries->path().filename().string();
    const std::string full = entries->path().string();
    if (entries->is_directory(error)) {
      content.ranks = content.ranks || name.starts_with("rank_");
      continue;
    }
    if (name.ends_with(".index.json") || name == "param_name_map.json") content.indexes.push_back(full);
    for (const char* ending : {".safetensors", ".bin", ".pt", ".pth", ".ckpt"}) {
      if (name.ends_with(ending)) content.by_kind[ending].push_back(full);
    }
  }
  std::sort(content.indexes.begin(), content.indexes.end());
  for (auto& [kind, files] : content.by_kind) std::sort(files.begin(), files.end());
  return content;
}

Opened OpenFolder(const std::string& path, const OpenOptions& options) {
  if (LooksLikeTorchDistributed(path)) return OpenTorchDistributed(path, options);
  CKMAP_ASSIGN_OR_RETURN(const FolderContent content, ListFolder(path));
  if (content.indexes.size() == 1) {
    CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(content.indexes.front()));
    return OpenIndex(content.indexes.front(), text, options);
  }
  if (content.indexes.size() > 1) {
    return Bad(path, fmt::format("holds {} shard indexes; name the one to read: {}", content.indexes.size(),
                                 fmt::join(content.indexes, ", ")));
  }
  if (content.ranks) {
    return Bad(path, "holds the slices of several ranks (rank_*/); name one rank's file, or merge them with MindSpore first");
  }
  if (content.by_kind.size() > 1) {
    std::vector<std::string> kinds;
    for (const auto& [kind, files] : content.by_kind) kinds.push_back(fmt::format("{} {}", files.size(), kind));
    return Bad(path, fmt::format("holds checkpoints of several kinds ({}) and no index; name the file to read", fmt::join(kinds, ", ")));
  }
  if (content.by_kind.empty()) {
    return Bad(path, "holds no checkpoint and no shard index");
  }
  std::vector<std::unique_ptr<Checkpoint>> shards;
  const std::vector<std::string>& files = content.by_kind.begin()->second;
  for (const std::string& file : files) {
    CKMAP_ASSIGN_OR_RETURN(auto open, OpenFile(file, options));
    shards.push_back(std::move(open));
  }
  return JoinShards(std::move(shards), files);
}

constexpr size_t kTextHead = 4096;  // bytes that tell texts apart

enum class PathKind { kFolder, kText, kFile };

// Text: specs and shard indexes. By content: what no format claims and begins as text does.
Result<PathKind> KindOf(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return IoError("cannot open", errno).Context(path);
  if (S_ISDIR(status.st_mode)) return PathKind::kFolder;
  bool encrypted = false, strategy = false;
  CKMAP_ASSIGN_OR_RETURN(const auto fitting, FittingFormats(path, encrypted, strategy));
  if (!fitting.empty() || encrypted || strategy) return PathKind::kFile;
  CKMAP_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  std::string head(static_cast<size_t>(std::min<int64_t>(file.size(), kTextHead)), '\0');
  CKMAP_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(head))));
  const bool text = std::none_of(head.begin(), head.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
  });
  return text && !head.empty() ? PathKind::kText : PathKind::kFile;
}

}  // namespace

Opened OpenCheckpoint(const std::string& path, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(const PathKind kind, KindOf(path));
  if (kind == PathKind::kFolder) return OpenFolder(path, options);
  if (kind == PathKind::kFile) return OpenFile(path, options);
  CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  if (LooksLikeSpec(std::string_view(text).substr(0, kTextHead))) {
    return Bad(path, "a text: if it is a spec, it has names and shapes but no bytes, and serves as a target only");
  }
  return OpenIndex(path, text, options);
}

Result<Manifest> ReadManifest(const std::string& path, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(const PathKind kind, KindOf(path));
  if (kind == PathKind::kText) {
    CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
    if (LooksLikeSpec(std::string_view(text).substr(0, kTextHead))) {
      auto spec = ParseSpec(text);
      if (!spec) return std::move(spec).error().Context(path);
      return spec;
    }
  }
  CKMAP_ASSIGN_OR_RETURN(const auto checkpoint, OpenCheckpoint(path, options));
  return checkpoint->manifest();
}

}  // namespace ckmap
