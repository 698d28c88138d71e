#include "runtime/base/output_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "runtime/base/file.h"
#include "runtime/base/output_names.h"

namespace ckmap {
namespace {

// What a signal handler has to remove. The handler only reads; everybody who changes the list holds
// the lock with all signals blocked, so a handler can only ever wait for another thread.
struct Registry {
  std::atomic_flag lock = ATOMIC_FLAG_INIT;
  std::vector<std::string> files;
};

Registry& GlobalRegistry() {
  static Registry* registry = new Registry;  // lives until the process ends, handlers included
  return *registry;
}

// Set before any handler can need it: the function-local static above must not be made in one.
std::atomic<Registry*> registry_for_handlers{nullptr};

void Lock(Registry& registry) {
  while (registry.lock.test_and_set(std::memory_order_acquire)) {
    const timespec pause{0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

class RegistryLock {
 public:
  RegistryLock() : registry_(GlobalRegistry()) {
    registry_for_handlers.store(&registry_);
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before_);
    Lock(registry_);
  }
  ~RegistryLock() {
    registry_.lock.clear(std::memory_order_release);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  RegistryLock(const RegistryLock&) = delete;
  RegistryLock& operator=(const RegistryLock&) = delete;

  Registry* operator->() { return &registry_; }

 private:
  Registry& registry_;
  sigset_t before_{};
};

Error Taken(const std::string& path) { return {ErrorCode::kUsage, path + ": exists already; --force replaces it"}; }

// What may be replaced: a file, or a link, whatever it leads to, but for a folder: more than one file would go with it.
Result<void> CheckIsFile(const struct stat& status, const std::string& path) {
  if (S_ISREG(status.st_mode)) return {};
  if (S_ISLNK(status.st_mode)) {
    struct stat end {};
    if (::stat(path.c_str(), &end) != 0 || !S_ISDIR(end.st_mode)) return {};
    return Error(ErrorCode::kUsage, path + ": is a link to a folder; a file was to be written there");
  }
  return Error(ErrorCode::kUsage,
               path + (S_ISDIR(status.st_mode) ? ": is a folder; a file was to be written there"
                                               : ": is a device, pipe or socket; a file was to be written there"));
}

// Of completeness: an index of shards.
bool IsRecord(const std::string& path) { return path.ends_with(".json"); }

// In a sandbox, files are opened before it is entered, as many as the size of the source lets expect.
Error CannotOpen(const std::string& folder, int error) {
  if (error == EMFILE || error == ENFILE) {
    return Error(
        ErrorCode::kLimit,
        "more output files than this process may have open: a larger --max-shard-size makes fewer, `ulimit -n` "
        "allows more");
  }
  const size_t reserved = std::max(ReservedUnnamed(folder), ReservedUnnamed(FolderOf(folder)));
  if (error != EACCES || reserved == 0) return IoError("cannot make a file in this folder", error);
  return Error(
      ErrorCode::kLimit,
      fmt::format("more output files than the {} that the sandbox lets this run make: a larger --max-shard-size "
                  "makes fewer, --sandbox off allows any number",
                  reserved));
}

}  // namespace

OutputSet::~OutputSet() {
  if (files_.empty() && made_.empty()) return;
  RegistryLock lock;
  Undo();
  ForgetAll();
}

bool OutputSet::IsNewFolder(std::string_view folder) const {
  return std::find(folders_.begin(), folders_.end(), folder) != folders_.end();
}

Result<void> OutputSet::AddFolder(const std::string& path) {
  std::string folder = path;
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  CKMAP_RETURN_IF_ERROR(CheckIsNotInput(folder));
  struct stat status {};
  if (::stat(folder.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return {};
    return Error(ErrorCode::kUsage, path + ": is a file; a folder was to be made there");
  }
  if (errno != ENOENT) return IoError("cannot make the folder", errno).Context(path);
  folders_.push_back(std::move(folder));
  return {};
}

Result<size_t> OutputSet::Add(const std::string& path, int64_t size, bool force, bool in_place) {
  File file;
  if (!in_place) {
    CKMAP_ASSIGN_OR_RETURN(file.claim, OutputClaim::Make(path));
  }
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    CKMAP_RETURN_IF_ERROR(CheckIsFile(status, path));
    if (!force) return Taken(path);
  }
  return AddOpened(std::move(file), path, size);
}

Result<size_t> OutputSet::AddScratch(const std::string& path, int64_t size) { return AddOpened({}, path, size); }

Result<size_t> OutputSet::AddOpened(File file, const std::string& path, int64_t size) {
  file.path = path;
  file.size = size;
  Result<void> opened = Open(file);
  if (!opened) return std::move(opened).error();
  if (Result<void> reserved = ReserveRoom(files_.back().fd, size); !reserved) {
    return std::move(reserved).error().Context(path);
  }
  return files_.size() - 1;
}

// The file, without its name, in the folder where it will live or, while there is none, in the one that will
// hold that.
Result<void> OutputSet::Open(File& file) {
  std::string folder = FolderOf(file.path);
  if (IsNewFolder(folder)) folder = FolderOf(folder);
  CKMAP_RETURN_IF_ERROR(CheckRoom(folder, file.size));
  if (const std::optional<FolderLock> quiet = FolderLock::Try(folder)) RemoveStale(folder, file.path);
  RegistryLock lock;
  files_.reserve(files_.size() + 1);
  file.fd = OpenUnnamed(folder);
  // Another run has made the folder since a sandbox was entered, where files are ready in the one above.
  if (file.fd < 0 && errno == EACCES) file.fd = OpenUnnamed(FolderOf(folder));
  if (file.fd < 0 && UnnamedUnsupported(errno)) {
    for (int attempt = 0; file.fd < 0 && attempt < 100; ++attempt) {
      file.temporary = TemporaryName(folder, file.path, ".partial");
      file.registered = file.temporary;
      lock->files.push_back(file.temporary);
      file.fd = OpenNamed(file.temporary);
      if (file.fd >= 0) break;
      lock->files.pop_back();
      if (errno != EEXIST) break;
    }
  }
  if (file.fd < 0) return CannotOpen(folder, errno).Context(file.path);
  files_.push_back(std::move(file));
  return {};
}

Result<void> OutputSet::Publish(const PublishOptions& options) {
  for (const File& file : files_) {
    // A failed fsync may have lost pages for good: never a second try.
    if (options.fsync && ::fsync(file.fd) != 0) return IoError("cannot flush to the disk", errno).Context(file.path);
    // Some network file systems tell at a close what they could not write.
    const int copy = ::dup(file.fd);
    if (copy < 0 || (::close(copy) != 0 && errno != EINTR)) return IoError("cannot close", errno).Context(file.path);
  }
  if (options.check_inputs) CKMAP_RETURN_IF_ERROR(CheckInputsUnchanged());
  std::vector<FolderLock> locks;
  Result<void> named = TakeLocks(locks);
  if (named) named = FindRemoved(options.force);
  RegistryLock lock;
  if (named) named = GiveNames(options);
  if (named) {
    for (const File& file : files_) {
      if (!file.replaced.empty()) ::unlink(file.replaced.c_str());
      if (options.in_place) ForgetInput(file.path);
    }
    for (const Removed& file : removed_) ::unlink(file.aside.c_str());
  } else {
    Undo();
  }
  ForgetAll();
  return named;
}

// Of the folders where the files will be; those that are to be made are made, with the folders above them locked.
Result<void> OutputSet::TakeLocks(std::vector<FolderLock>& locks) {
  std::set<std::string> above, places;
  for (const std::string& folder : folders_) above.insert(FolderOf(folder));
  for (const File& file : files_) places.insert(FolderOf(file.path));
  const auto holds = [&locks](const std::string& folder) -> Result<bool> {
    for (const FolderLock& lock : locks) {
      CKMAP_ASSIGN_OR_RETURN(const bool held, lock.Holds(folder));
      if (held) return true;
    }
    return false;
  };
  const auto take = [&locks](const std::string& folder) -> Result<void> {
    CKMAP_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::Take(folder));
    locks.push_back(std::move(lock));
    return {};
  };
  // A folder may go while its lock is waited for: whoever made it took it back.
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    locks.clear();
    for (const std::string& folder : above) {
      CKMAP_ASSIGN_OR_RETURN(const bool held, holds(folder));
      if (!held) CKMAP_RETURN_IF_ERROR(take(folder));
    }
    CKMAP_RETURN_IF_ERROR(MakeFolders());
    bool lost = false;
    for (const std::string& folder : places) {
      CKMAP_ASSIGN_OR_RETURN(const bool held, holds(folder));
      if (held) continue;
      CKMAP_RETURN_IF_ERROR(take(folder));
      CKMAP_ASSIGN_OR_RETURN(const bool still, holds(folder));
      lost = lost || (locks.back().locked() && !still);
    }
    if (!lost) break;
  }
  for (const File& file : files_) RemoveStale(FolderOf(file.path), file.path);
  return {};
}

Result<void> OutputSet::FindRemoved(bool force) {
  if (find_replaced_) {
    CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> paths, find_replaced_());
    for (const std::string& path : paths) {
      if (std::any_of(files_.begin(), files_.end(), [&](const File& file) { return file.path == path; })) continue;
      if (!force) return Taken(path);
      CKMAP_RETURN_IF_ERROR(CheckIsNotInput(path));
      removed_.push_back({path, ""});
    }
  }
  return force ? TakeOverModes() : Result<void>();
}

Result<void> OutputSet::TakeOverModes() {
  mode_t common = 0777;
  std::optional<struct stat> first;
  const auto look = [&](const std::string& path) {
    std::optional<struct stat> status(std::in_place);
    if (::stat(path.c_str(), &*status) != 0 || !S_ISREG(status->st_mode)) return std::optional<struct stat>();
    common &= status->st_mode;
    if (!first) first = status;
    return status;
  };
  std::vector<std::optional<struct stat>> before;
  for (const File& file : files_) before.push_back(look(file.path));
  for (const Removed& file : removed_) look(file.path);
  if (!first) return {};
  for (size_t i = 0; i < files_.size(); ++i) {
    const struct stat& model = before[i] ? *before[i] : *first;
    Result<void> taken =
        TakeOver(files_[i].fd, before[i] ? before[i]->st_mode & 0777 : common, model.st_uid, model.st_gid);
    if (!taken) return std::move(taken).error().Context(files_[i].path);
  }
  return {};
}

Result<void> OutputSet::GiveNames(const PublishOptions& options) {
  // Nobody may ever read the old record of completeness with new files, or old shards with the new one.
  if (options.force && files_.size() + removed_.size() > 1) CKMAP_RETURN_IF_ERROR(WithdrawAll(options.fsync));
  for (size_t i = 0; i < files_.size(); ++i) {
    const bool closes_set = i > 0 && i + 1 == files_.size();
    if (closes_set && options.fsync) CKMAP_RETURN_IF_ERROR(Sync());
    CKMAP_RETURN_IF_ERROR(Name(files_[i], options.force));
  }
  if (options.fsync) CKMAP_RETURN_IF_ERROR(Sync());
  return {};
}

Result<void> OutputSet::WithdrawAll(bool fsync) {
  const bool had_record = files_.size() > 1;  // under the name of the last
  if (had_record) CKMAP_RETURN_IF_ERROR(Withdraw(files_.back().path, files_.back().replaced));
  if (fsync && had_record) CKMAP_RETURN_IF_ERROR(Sync());
  for (Removed& file : removed_) {
    CKMAP_RETURN_IF_ERROR(Withdraw(file.path, file.aside));
    if (fsync && IsRecord(file.path)) CKMAP_RETURN_IF_ERROR(Sync());
  }
  for (size_t i = files_.size() - (had_record ? 1 : 0); i-- > 0;)
    CKMAP_RETURN_IF_ERROR(Withdraw(files_[i].path, files_[i].replaced));
  return fsync ? Sync() : Result<void>();
}

Result<void> OutputSet::MakeFolders() {
  made_.reserve(folders_.size());
  for (const std::string& folder : folders_) {
    std::string made = folder;  // nothing may fail between the folder and its record
    if (::mkdir(folder.c_str(), 0777) == 0) {
      if (std::find(made_.begin(), made_.end(), folder) == made_.end()) made_.push_back(std::move(made));
    } else if (errno != EEXIST) {
      return IoError("cannot make the folder", errno).Context(folder);
    }
  }
  return {};
}

Result<void> OutputSet::Withdraw(const std::string& path, std::string& replaced) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return IoError("cannot find out what is there", errno).Context(path);  // a file that stays would be read later
  }
  CKMAP_RETURN_IF_ERROR(CheckIsFile(status, path));
  // Under a name that the next run knows by those that it makes.
  std::string aside = TemporaryName(FolderOf(path), files_.back().path, ".replaced");
  if (std::rename(path.c_str(), aside.c_str()) != 0) return IoError("cannot replace the file", errno).Context(path);
  replaced = std::move(aside);
  return {};
}

Result<void> OutputSet::Name(File& file, bool force) {
  const bool unnamed = file.temporary.empty();
  if ((unnamed ? LinkUnnamed(file.fd, file.path) : RenameNoReplace(file.temporary, file.path)) == 0) {
    file.temporary.clear();
    file.published = true;
    return {};
  }
  if (errno != EEXIST) return IoError("cannot give the file its name", errno).Context(file.path);
  if (!force) return Taken(file.path);
  struct stat status {};
  if (::lstat(file.path.c_str(), &status) == 0) {
    CKMAP_RETURN_IF_ERROR(CheckIsFile(status, file.path));
  } else if (errno != ENOENT) {
    return IoError("cannot find out what is there", errno).Context(file.path);
  }
  if (unnamed) {
    std::string name = TemporaryName(FolderOf(file.path), file.path, ".partial");
    if (LinkUnnamed(file.fd, name) != 0) return IoError("cannot give the file a name", errno).Context(file.path);
    file.temporary = std::move(name);
  }
  if (ExchangeNames(file.temporary, file.path) == 0) {
    file.replaced = std::exchange(file.temporary, {});
  } else if (errno == ENOTSUP && std::rename(file.temporary.c_str(), file.path.c_str()) == 0) {
    file.temporary.clear();
  } else {
    return IoError("cannot replace the file", errno).Context(file.path);
  }
  file.published = true;
  return {};
}

Result<void> OutputSet::Sync() const {
  std::set<std::string> folders;
  for (const File& file : files_) folders.insert(FolderOf(file.path));
  for (const std::string& folder : made_) folders.insert(FolderOf(folder));
  for (const std::string& folder : folders) CKMAP_RETURN_IF_ERROR(SyncFolder(folder));
  return {};
}

// The last first: the record of completeness is the last to come back.
void OutputSet::Undo() {
  for (size_t i = files_.size(); i-- > 0;) {
    const File& file = files_[i];
    if (file.published && file.replaced.empty()) ::unlink(file.path.c_str());
    if (!file.temporary.empty()) ::unlink(file.temporary.c_str());
  }
  const auto put_back = [this](bool records) {
    for (const Removed& file : removed_) {
      if (!file.aside.empty() && IsRecord(file.path) == records) std::rename(file.aside.c_str(), file.path.c_str());
    }
  };
  put_back(false);
  for (const File& file : files_) {
    if (!file.replaced.empty()) std::rename(file.replaced.c_str(), file.path.c_str());
  }
  put_back(true);
  for (const std::string& folder : made_) ::rmdir(folder.c_str());
}

void OutputSet::ForgetAll() {
  std::vector<std::string>& known = GlobalRegistry().files;
  for (const File& file : files_) {
    if (file.fd >= 0) ::close(file.fd);
    if (!file.registered.empty()) known.erase(std::find(known.begin(), known.end(), file.registered));
  }
  files_.clear();
  removed_.clear();
  folders_.clear();
  made_.clear();
}

Result<void> WriteWholeFile(const std::string& path, std::string_view text, const PublishOptions& options) {
  OutputSet set;
  CKMAP_ASSIGN_OR_RETURN(const size_t file,
                         set.Add(path, static_cast<int64_t>(text.size()), options.force, options.in_place));
  if (Result<void> written = WriteAt(set.fd(file), 0, std::as_bytes(std::span(text))); !written) {
    return std::move(written).error().Context(path);
  }
  return set.Publish(options);
}

void RemoveTemporaryFiles() {
  Registry* registry = registry_for_handlers.load();
  if (registry == nullptr) return;
  Lock(*registry);  // kept for good: the process is about to end
  for (const std::string& file : registry->files) ::unlink(file.c_str());
}

}  // namespace ckmap
