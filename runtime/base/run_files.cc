#include "runtime/base/run_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/run_list.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

// Where a name stands, whether or not there is a file of that name: its folder, and the name in it.
struct Place {
  uint64_t device = 0;
  uint64_t folder = 0;
  std::string name;

  bool operator==(const Place&) const = default;
};

struct Input {
  FileStamp stamp;
  std::optional<Place> place;
};

struct Folder {
  std::string path;
  uint64_t device = 0;
  uint64_t inode = 0;
};

struct FileClaim {
  uint64_t id = 0;
  std::string path;
  std::optional<Place> place;
};

struct Lists {
  bool process = true;                  // of all threads; else of those that are in a scope
  std::map<std::string, Input> inputs;  // by the path as it was opened
  std::vector<Folder> folders;
};

struct Registry {
  std::mutex mutex;
  std::map<const void*, Lists> runs;  // by their RunFiles or RunList
  std::vector<FileClaim> claims;
  uint64_t last_id = 0;
};

Registry& Global() {
  static Registry* registry = new Registry;  // claims may outlive statics
  return *registry;
}

thread_local std::vector<const void*> scopes;  // the lists of this thread's scopes

bool Concerns(const void* run, const Lists& lists) {
  return lists.process || std::find(scopes.begin(), scopes.end(), run) != scopes.end();
}

// Where the folder is not there yet, the nearest one above it that is.
std::optional<Place> PlaceOf(const std::string& path) {
  std::string folder = path;
  for (;;) {
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    const size_t slash = folder.rfind('/');
    const size_t length = slash == std::string::npos ? 0 : slash + 1;  // of what stands before the name
    folder.resize(length);
    struct stat status {};
    if (::stat(length == 0 ? "." : folder.c_str(), &status) == 0) {
      std::string name = std::filesystem::path(path.substr(length)).lexically_normal().string();
      while (name.size() > 1 && name.back() == '/') name.pop_back();
      return Place{status.st_dev, status.st_ino, std::move(name)};
    }
    if (length <= 1) return std::nullopt;
  }
}

std::string Lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// Names that differ in nothing but case are one file on some file systems.
bool MayBeOne(const std::optional<Place>& a, const std::optional<Place>& b) {
  return a && b && a->device == b->device && a->folder == b->folder && Lower(a->name) == Lower(b->name);
}

// The folder that holds `path`, or the nearest above it that is there, without links, and all above that one.
std::vector<Folder> FoldersAbove(const std::string& path) {
  std::string parent = path;
  struct stat found {};
  do {
    while (parent.size() > 1 && parent.back() == '/') parent.pop_back();
    parent.resize(parent.rfind('/') + 1);
  } while (parent.size() > 1 && ::stat(parent.c_str(), &found) != 0);
  if (parent.empty()) parent = ".";
  std::vector<Folder> folders;
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(parent.c_str(), nullptr), &std::free);
  if (real == nullptr) return folders;
  for (std::string folder = real.get(); !folder.empty(); folder.resize(folder.rfind('/'))) {
    struct stat status {};
    if (::stat(folder.c_str(), &status) == 0) folders.push_back({folder, status.st_dev, status.st_ino});
    if (folder == "/") break;
  }
  return folders;
}

Error Refused(const std::string& out, std::string_view why, const std::string& input) {
  return {ErrorCode::kUsage, fmt::format("output `{}` {} (`{}`): inputs are never changed, choose another place",
                                         EscapeText(out), why, EscapeText(input))};
}

Result<void> CheckApart(const Registry& registry, const std::string& path) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  const FileStamp stamp = exists ? StampOf(status) : FileStamp{};
  const std::optional<Place> place = PlaceOf(path);
  for (const auto& [run, lists] : registry.runs) {
    for (const auto& [input_path, input] : lists.inputs) {
      if ((exists && SameFile(stamp, input.stamp)) || (place && input.place == place))
        return Refused(path, "is what is read", input_path);
    }
  }
  const std::vector<Folder> above = FoldersAbove(path);
  for (const auto& [run, lists] : registry.runs) {
    for (const Folder& folder : lists.folders) {
      const auto is = [&](uint64_t device, uint64_t inode) { return folder.device == device && folder.inode == inode; };
      if (exists && is(stamp.device, stamp.inode)) return Refused(path, "is what is read", folder.path);
      if (std::any_of(above.begin(), above.end(), [&](const Folder& f) { return is(f.device, f.inode); })) {
        return Refused(path, "lies among the files that are read", folder.path);
      }
    }
  }
  return {};
}

}  // namespace

RunFiles::RunFiles() {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  registry.runs.try_emplace(this);
}

RunFiles::~RunFiles() {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  registry.runs.erase(this);
}

RunList::RunList() {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  registry.runs[this].process = false;
}

RunList::~RunList() {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  registry.runs.erase(this);
}

RunList::Scope::Scope(const RunList& list) { scopes.push_back(&list); }

RunList::Scope::~Scope() { scopes.pop_back(); }

Result<void> EnterInput(const std::string& path, const FileStamp& stamp) {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  if (registry.runs.empty()) return {};
  const std::optional<Place> place = PlaceOf(path);
  for (auto& [run, lists] : registry.runs) {
    if (!Concerns(run, lists)) continue;
    const auto [known, fresh] = lists.inputs.try_emplace(path, Input{stamp, place});
    if (fresh) continue;
    if (const std::string change = ChangeSince(known->second.stamp, stamp); !change.empty()) {
      return Error(ErrorCode::kIo, fmt::format("{}: {}", path, change));
    }
  }
  return {};
}

void EnterInputFolder(const std::string& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return;
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  for (auto& [run, lists] : registry.runs) {
    if (Concerns(run, lists)) lists.folders.push_back({folder, status.st_dev, status.st_ino});
  }
}

Result<void> CheckIsNotInput(const std::string& path) {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  return CheckApart(registry, path);
}

Result<void> CheckInputsUnchanged() {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  for (const auto& [run, lists] : registry.runs) {
    if (!Concerns(run, lists)) continue;
    for (const auto& [path, input] : lists.inputs) {
      struct stat status {};
      if (::stat(path.c_str(), &status) != 0) continue;
      if (const std::string change = ChangeSince(input.stamp, StampOf(status)); !change.empty()) {
        return Error(ErrorCode::kIo, fmt::format("{}: {}", path, change));
      }
    }
  }
  return {};
}

void ForgetInput(const std::string& path) {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  for (auto& [run, lists] : registry.runs) lists.inputs.erase(path);
}

Result<OutputClaim> OutputClaim::Make(const std::string& path) {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  OutputClaim claim;
  if (registry.runs.empty()) return claim;
  CKMAP_RETURN_IF_ERROR(CheckApart(registry, path));
  const std::optional<Place> place = PlaceOf(path);
  for (const FileClaim& other : registry.claims) {
    if (MayBeOne(place, other.place)) {
      return Error(ErrorCode::kUsage,
                   fmt::format("output `{}` is written for two purposes (`{}`): choose another name for one of them",
                               EscapeText(path), EscapeText(other.path)));
    }
    // Its file may have been opened for reading since.
    CKMAP_RETURN_IF_ERROR(CheckApart(registry, other.path));
  }
  registry.claims.push_back({++registry.last_id, path, place});
  claim.id_ = registry.last_id;
  return claim;
}

OutputClaim::OutputClaim(OutputClaim&& other) noexcept : id_(std::exchange(other.id_, 0)) {}

OutputClaim& OutputClaim::operator=(OutputClaim&& other) noexcept {
  std::swap(id_, other.id_);
  return *this;
}

OutputClaim::~OutputClaim() {
  if (id_ == 0) return;
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  std::erase_if(registry.claims, [this](const FileClaim& claim) { return claim.id == id_; });
}

}  // namespace ckmap
