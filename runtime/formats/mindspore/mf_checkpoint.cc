#include "runtime/formats/mindspore/mf_checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/json_document.h"
#include "runtime/base/json_strict.h"
#include "runtime/base/malformed.h"
#include "runtime/base/mistake_list.h"
#include "runtime/base/text.h"
#include "runtime/formats/mindspore/mf_metadata.h"
#include "runtime/formats/storage/contained_path.h"
#include "runtime/formats/storage/joined_checkpoint.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

using OpenFileFn = std::function<Result<std::unique_ptr<Checkpoint>>(const std::string& path)>;

constexpr std::string_view kFormat = "mf-ckpt2";
constexpr std::string_view kTracker = "latest_checkpointed_iteration.txt";
constexpr std::string_view kMetadata = "metadata.json";
constexpr std::string_view kCommon = "common.json";
constexpr std::string_view kIteration = "iteration_";
constexpr std::string_view kEnding = ".safetensors";
constexpr size_t kMaxIterationDigits = 18;
constexpr size_t kMaxFiles = 65536;

bool AllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The folder of the iteration that the tracker names; `folder` itself if it is one.
Result<std::string> IterationFolder(const std::string& folder) {
  CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder));
  if (!Contains(names, kTracker)) {
    std::string saved;
    for (const std::string& name : names) {
      if (IsMfRootEntry(name)) saved += (saved.empty() ? "" : ", ") + (fs::path(folder) / name).string();
    }
    if (saved.empty()) return folder;
    return Malformed(fmt::format("{}: has no {}, which says which iteration is the newest; name the folder of one: {}",
                                 folder, kTracker, EscapeText(saved)));
  }
  const std::string tracker = (fs::path(folder) / kTracker).string();
  CKMAP_ASSIGN_OR_RETURN(std::string text, ReadTextFile(tracker));
  const size_t begin = text.find_first_not_of(" \t\r\n");
  const size_t end = text.find_last_not_of(" \t\r\n");
  text = begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
  if (!AllDigits(text) || text.size() > kMaxIterationDigits) {
    return Malformed(
        fmt::format("{}: does not hold the number of an iteration, but {}", tracker, QuoteName(text.substr(0, 40))));
  }
  const std::string iteration = (fs::path(folder) / fmt::format("{}{:08}", kIteration, std::stoll(text))).string();
  std::error_code ignored;
  if (!fs::is_directory(fs::symlink_status(iteration, ignored)))
    return Malformed(fmt::format("{}: names iteration {}, but {} is not a folder", tracker, text, iteration));
  return iteration;
}

// Opens each file once.
class Files {
 public:
  Files(std::string folder, const OpenFileFn& open) : folder_(std::move(folder)), open_(open) {}

  Result<size_t> Open(const std::string& name) {
    if (const auto found = index_.find(name); found != index_.end()) return found->second;
    if (parts_.size() == kMaxFiles) return Malformed(fmt::format("{}: has more than {} files", folder_, kMaxFiles));
    const std::string path = (fs::path(folder_) / name).string();
    std::error_code ignored;
    if (!fs::exists(fs::symlink_status(path, ignored)))
      return Malformed(fmt::format("{}: is named by metadata.json, but is not there", path));
    if (fs::is_symlink(fs::symlink_status(path, ignored)) && !FileStaysInside(folder_, name)) {
      return Malformed(fmt::format("{}: is a link to a file outside of the folder", path));
    }
    CKMAP_ASSIGN_OR_RETURN(auto part, open_(path));
    if (part->format() != "safetensors")
      return Malformed(fmt::format("{}: is {}, not safetensors", path, part->format()));
    index_.emplace(name, parts_.size());
    names_.push_back(name);
    parts_.push_back(std::move(part));
    return parts_.size() - 1;
  }

  const std::string& name(size_t part) const { return names_[part]; }
  const Checkpoint& part(size_t part) const { return *parts_[part]; }
  size_t size() const { return parts_.size(); }
  std::vector<std::unique_ptr<Checkpoint>> Take() { return std::move(parts_); }

 private:
  std::string folder_;
  const OpenFileFn& open_;
  std::map<std::string, size_t> index_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Checkpoint>> parts_;
};

struct Planned {
  TensorInfo info;
  std::vector<JoinedSlice> slices;
};

// The tensors as metadata.json describes them, each slice found in its files.
class Described {
 public:
  Described(Files& files, const std::vector<MfTensor>& tensors) : files_(files), tensors_(tensors) {}

  Result<std::vector<Planned>> Plan() {
    std::vector<Planned> planned;
    MistakeList mistakes;
    for (const MfTensor& tensor : tensors_) {
      Planned& plan = planned.emplace_back();
      plan.info.name = tensor.name;
      plan.info.dtype = tensor.dtype;
      plan.info.shape = tensor.global_shape;
      for (size_t number = 0; number < tensor.slices.size(); ++number) {
        for (size_t copy = 0; copy < tensor.slices[number].size(); ++copy) {
          CKMAP_ASSIGN_OR_RETURN(const size_t part, files_.Open(tensor.slices[number][copy].file));
          const auto index = files_.part(part).manifest().Find(tensor.name);
          if (const std::string problem = Problem(tensor, number, part, index); !problem.empty()) {
            mistakes.Add(fmt::format("{}, slice {}: {} {}", QuoteName(tensor.name), number,
                                     EscapeText(files_.name(part)), problem));
          } else if (copy == 0) {
            plan.slices.push_back({part, *index, tensor.Offsets(static_cast<int64_t>(number))});
          }
        }
      }
    }
    if (!mistakes.empty()) return mistakes.ToError(ErrorCode::kMalformed, "the files are not what metadata.json says");
    return planned;
  }

  // Tensors of the files that no slice is.
  std::vector<std::string> Undescribed() const {
    std::set<std::string> names;
    for (size_t part = 0; part < files_.size(); ++part) {
      const Manifest& manifest = files_.part(part).manifest();
      for (size_t i = 0; i < manifest.size(); ++i) {
        if (!used_.contains({part, i})) names.insert(manifest[i].name);
      }
    }
    return {names.begin(), names.end()};
  }

 private:
  std::string Problem(const MfTensor& tensor, size_t number, size_t part, const std::optional<size_t>& index) {
    if (!index) return "does not hold it";
    const TensorInfo& found = files_.part(part).manifest()[*index];
    if (found.dtype != tensor.dtype || found.shape != tensor.local_shape) {
      return fmt::format("holds {} {}, metadata.json says {} {}", DTypeName(found.dtype), FormatShape(found.shape),
                         DTypeName(tensor.dtype), FormatShape(tensor.local_shape));
    }
    const auto [at, fresh] = used_.emplace(std::pair{part, *index}, number);
    if (!fresh && at->second != number) return fmt::format("holds slice {} under this name", at->second);
    if (!fresh) return "is named twice for it";
    return "";
  }

  Files& files_;
  const std::vector<MfTensor>& tensors_;
  std::map<std::pair<size_t, size_t>, size_t> used_;  // part and tensor → slice
};

// Without metadata.json: whole tensors, each in one file.
Result<std::vector<Planned>> PlanWhole(Files& files, const std::vector<std::string>& names) {
  std::vector<Planned> planned;
  std::map<std::string, size_t> owner;
  MistakeList mistakes;
  for (const std::string& name : names) {
    if (const int64_t total = MfTensorFileTotal(name); total > 1) {
      return Malformed(
          fmt::format("has no metadata.json, but {} is one of {} files: they hold slices, or copies of tensors",
                      EscapeText(name), total));
    }
    CKMAP_ASSIGN_OR_RETURN(const size_t part, files.Open(name));
    const Manifest& manifest = files.part(part).manifest();
    for (size_t i = 0; i < manifest.size(); ++i) {
      const auto [at, fresh] = owner.emplace(manifest[i].name, part);
      if (!fresh) {
        mistakes.Add(fmt::format("{} and {} both hold {}", EscapeText(files.name(at->second)), EscapeText(name),
                                 QuoteName(manifest[i].name)));
        continue;
      }
      Planned& plan = planned.emplace_back();
      plan.info.name = manifest[i].name;
      plan.info.dtype = manifest[i].dtype;
      plan.info.shape = manifest[i].shape;
      plan.slices.push_back({part, i, Shape(manifest[i].shape.size(), 0)});
    }
  }
  if (!mistakes.empty())
    return mistakes.ToError(ErrorCode::kMalformed, "there is no metadata.json, which says how slices are joined");
  return planned;
}

// The entries of common.json.
Result<std::vector<OtherEntry>> ReadCommon(const std::string& path) {
  CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const auto error = parser.parse(text).get(root);
  ThrowIfOutOfMemory(error);
  simdjson::dom::object object;
  if (error || root.get_object().get(object)) return Malformed(fmt::format("{}: is not a JSON object", path));
  std::vector<OtherEntry> entries;
  for (const auto& [key, value] : object) {
    OtherEntry entry{.name = std::string(key), .kind = "object", .value = {}};
    switch (value.type()) {
      case simdjson::dom::element_type::INT64:
        entry.kind = "int";
        entry.value = int64_t{value.get_int64().value()};
        break;
      case simdjson::dom::element_type::DOUBLE:
        entry.kind = "float";
        entry.value = double{value.get_double().value()};
        break;
      case simdjson::dom::element_type::BOOL:
        entry.kind = "bool";
        entry.value = bool{value.get_bool().value()};
        break;
      case simdjson::dom::element_type::STRING:
        entry.kind = "str";
        entry.value = std::string(value.get_string().value());
        break;
      case simdjson::dom::element_type::NULL_VALUE:
        entry.kind = "none";
        break;
      default:
        break;
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::unique_ptr<Checkpoint>> OpenIteration(const std::string& folder, const OpenFileFn& open_file) {
  CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder));
  std::vector<std::string> tensor_files;
  std::copy_if(names.begin(), names.end(), std::back_inserter(tensor_files),
               [](const std::string& name) { return name.ends_with(kEnding); });
  Files files(folder, open_file);
  std::vector<Planned> planned;
  std::vector<std::string> warnings;
  if (Contains(names, kMetadata)) {
    const std::string path = (fs::path(folder) / kMetadata).string();
    CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
    auto tensors = ParseMfMetadata(text);
    if (!tensors) return std::move(tensors).error().Context(path);
    Described described(files, *tensors);
    CKMAP_ASSIGN_OR_RETURN(planned, described.Plan());
    if (const auto left = described.Undescribed(); !left.empty()) {
      warnings.push_back(fmt::format(
          "left out, because metadata.json does not describe them (MindFormers does not read them either): {}",
          NameSome(left)));
    }
    std::vector<std::string> unnamed;
    for (const std::string& name : tensor_files) {
      bool opened = false;
      for (size_t part = 0; part < files.size(); ++part) opened = opened || files.name(part) == name;
      if (!opened) unnamed.push_back(name);
    }
    if (!unnamed.empty())
      warnings.push_back(
          fmt::format("metadata.json names no tensor in these files, which are not read: {}", NameSome(unnamed)));
  } else {
    if (tensor_files.empty()) return Malformed("holds neither metadata.json nor a file of tensors");
    CKMAP_ASSIGN_OR_RETURN(planned, PlanWhole(files, tensor_files));
  }
  // Of the files' metadata only what ckmap wrote into the first of them says something of the whole.
  std::string receipt;
  for (size_t part = 0; part < files.size() && receipt.empty(); ++part) {
    const auto& metadata = files.part(part).metadata();
    if (const auto found = metadata.find(std::string(kReceiptKey)); found != metadata.end()) receipt = found->second;
  }
  auto joined = std::make_unique<JoinedCheckpoint>(kFormat, files.Take());
  if (!receipt.empty()) joined->AddMetadata(std::string(kReceiptKey), std::move(receipt));
  joined->set_framework("mindspore");
  for (Planned& plan : planned) {
    const std::string name = plan.info.name;
    if (auto added = joined->AddTensor(std::move(plan.info), plan.slices); !added)
      return std::move(added).error().Context(QuoteName(name));
  }
  for (std::string& warning : warnings) joined->AddWarning(std::move(warning));
  if (Contains(names, kCommon)) {
    CKMAP_ASSIGN_OR_RETURN(std::vector<OtherEntry> entries, ReadCommon((fs::path(folder) / kCommon).string()));
    for (OtherEntry& entry : entries) joined->AddOther(std::move(entry));
  }
  return std::unique_ptr<Checkpoint>(std::move(joined));
}

}  // namespace

int64_t MfTensorFileTotal(std::string_view name) {
  constexpr size_t kNumbers = 16;  // -0000000-0000004
  if (!name.ends_with(kEnding)) return 0;
  name.remove_suffix(kEnding.size());
  if (name.size() < kNumbers || name[name.size() - 8] != '-' || name[name.size() - kNumbers] != '-') return 0;
  if (!AllDigits(name.substr(name.size() - 7)) || !AllDigits(name.substr(name.size() - 15, 7))) return 0;
  const std::string_view kind = name.substr(0, name.size() - kNumbers);
  for (const std::string_view known : {"model", "opt"}) {
    if (kind == known || (kind.ends_with(known) && kind[kind.size() - known.size() - 1] == '-'))
      return std::max<int64_t>(std::stoll(std::string(name.substr(name.size() - 7))), 1);
  }
  return 0;
}

bool IsMfRootEntry(std::string_view name) {
  return name == kTracker || (name.starts_with(kIteration) && AllDigits(name.substr(kIteration.size())));
}

bool LooksLikeMfCheckpoint(const std::string& folder) {
  const auto names = ListFolder(folder);
  if (!names) return false;
  return std::any_of(names->begin(), names->end(),
                     [](const std::string& name) { return MfTensorFileTotal(name) > 0 || IsMfRootEntry(name); });
}

Result<std::unique_ptr<Checkpoint>> OpenMfCheckpoint(const std::string& folder, const OpenFileFn& open_file) {
  CKMAP_ASSIGN_OR_RETURN(const std::string iteration, IterationFolder(folder));
  auto opened = OpenIteration(iteration, open_file);
  if (opened || opened.error().message().starts_with(iteration)) return opened;
  return std::move(opened).error().Context(iteration);
}

}  // namespace ckmap
