#include "runtime/formats/output_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/file.h"

namespace ckmap {
namespace {

// What a signal handler has to remove. The handler only reads; everybody who changes the list holds
// the lock with all signals blocked, so a handler can only ever wait for another thread.
struct Registry {
  std::atomic_flag lock = ATOMIC_FLAG_INIT;
  std::vector<std::string> files;
  std::vector<std::string> folders;
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

void Forget(std::vector<std::string>& list, const std::string& name) {
  const auto it = std::find(list.begin(), list.end(), name);
  if (it != list.end()) list.erase(it);
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string TemporaryName(const std::string& path) {
  static thread_local std::random_device random;
  const size_t slash = path.rfind('/');
  const size_t base = slash == std::string::npos ? 0 : slash + 1;
  // The name may be as long as the file system allows; the temporary one must fit too.
  const std::string stem = path.substr(base, 180);
  return fmt::format("{}.{}.ckmap-{}-{:08x}{:08x}.partial", path.substr(0, base), stem, ::getpid(),
                     random(), random());
}

Result<void> CheckRoom(const std::string& folder, int64_t size) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) {
    return IoError("cannot find out the free space", errno).Context(folder);
  }
  uint64_t free_bytes = 0;
  if (__builtin_mul_overflow(uint64_t{status.f_bavail}, uint64_t{status.f_frsize}, &free_bytes)) return {};
  if (free_bytes < static_cast<uint64_t>(size)) {
    return Error(ErrorCode::kIo,
                 fmt::format("{}: no room: {} bytes are needed, {} are free; free some space or "
                             "write to another disk",
                             folder, size, free_bytes));
  }
  return {};
}

// Blocks are reserved now, so that a full disk shows before the work; file systems that cannot
// reserve get the length alone.
Result<void> Reserve(int fd, int64_t size) {
  if (size == 0) return {};
  int status = 0;
  do {
    status = ::fallocate(fd, 0, 0, size);
  } while (status != 0 && errno == EINTR);
  if (status == 0) return {};
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
    return IoError(fmt::format("cannot reserve {} bytes", size), errno);
  }
  do {
    status = ::ftruncate(fd, size);
  } while (status != 0 && errno == EINTR);
  if (status != 0) return IoError(fmt::format("cannot make it {} bytes long", size), errno);
  return {};
}

Result<void> SyncFolder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return IoError("cannot open the folder to flush it", errno).Context(folder);
  const int status = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // Some network file systems cannot flush a folder; they have nothing to flush either.
  if (status != 0 && error != EINVAL && error != ENOTSUP) {
    return IoError("cannot flush the folder", error).Context(folder);
  }
  return {};
}

int RenameWith(const std::string& from, const std::string& to, unsigned flags) {
  return static_cast<int>(
      ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
}

bool FlagsUnsupported(int error) { return error == EINVAL || error == ENOSYS || error == ENOTSUP; }

Error Taken(const std::string& path) {
  return {ErrorCode::kUsage, path + ": exists already; --force replaces it"};
}

Error IsFolder(const std::string& path) {
  return {ErrorCode::kUsage, path + ": is a folder; a file was to be written there"};
}

// rename(2) that never replaces. Where the file system has no such rename, a hard link does the
// same; where it has no hard links either, a look before the rename must do.
int RenameNoReplace(const std::string& from, const std::string& to) {
  if (RenameWith(from, to, RENAME_NOREPLACE) == 0) return 0;
  if (!FlagsUnsupported(errno)) return -1;
  if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str());
  if (errno == EEXIST) return -1;
  struct stat status {};
  if (::lstat(to.c_str(), &status) == 0) {
    errno = EEXIST;
    return -1;
  }
  return std::rename(from.c_str(), to.c_str());
}

}  // namespace

OutputSet::~OutputSet() {
  if (files_.empty() && folders_.empty()) return;
  for (File& file : files_) {
    if (file.fd >= 0) ::close(file.fd);
  }
  RegistryLock lock;
  Undo();
  ForgetAll();
}

Result<void> OutputSet::AddFolder(const std::string& path) {
  RegistryLock lock;
  if (::mkdir(path.c_str(), 0777) == 0) {
    lock->folders.push_back(path);
    folders_.push_back(path);
    return {};
  }
  const int error = errno;
  struct stat status {};
  if (error == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
  return IoError("cannot make the folder", error).Context(path);
}

Result<size_t> OutputSet::Add(const std::string& path, int64_t size, bool force) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return IsFolder(path);
    if (!force) return Taken(path);
  }
  CKMAP_RETURN_IF_ERROR(CheckRoom(FolderOf(path), size));
  File file;
  file.path = path;
  file.size = size;
  {
    RegistryLock lock;
    for (int attempt = 0; file.fd < 0 && attempt < 100; ++attempt) {
      file.temporary = TemporaryName(path);
      file.fd = ::open(file.temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (file.fd < 0 && errno != EEXIST && errno != EINTR) break;
    }
    if (file.fd < 0) return IoError("cannot make a file in this folder", errno).Context(path);
    lock->files.push_back(file.temporary);
    files_.push_back(file);
  }
  if (Result<void> reserved = Reserve(file.fd, size); !reserved) {
    return std::move(reserved).error().Context(path);
  }
  return files_.size() - 1;
}

Result<void> OutputSet::Publish(const PublishOptions& options) {
  if (options.fsync) {
    for (File& file : files_) {
      // A failed fsync may have lost pages for good: never a second try.
      if (::fsync(file.fd) != 0) return IoError("cannot flush to the disk", errno).Context(file.path);
    }
  }
  for (File& file : files_) {
    const int fd = std::exchange(file.fd, -1);
    if (::close(fd) != 0 && errno != EINTR) return IoError("cannot close", errno).Context(file.path);
  }
  RegistryLock lock;
  if (Result<void> named = GiveNames(options); !named) {
    Undo();
    ForgetAll();
    return named;
  }
  for (File& file : files_) {
    if (file.exchanged) ::unlink(file.temporary.c_str());
  }
  ForgetAll();
  return {};
}

Result<void> OutputSet::GiveNames(const PublishOptions& options) {
  for (File& file : files_) CKMAP_RETURN_IF_ERROR(Rename(file, options.force));
  if (!options.fsync) return {};
  std::set<std::string> folders;
  for (const File& file : files_) folders.insert(FolderOf(file.path));
  for (const std::string& folder : folders_) folders.insert(FolderOf(folder));
  for (const std::string& folder : folders) CKMAP_RETURN_IF_ERROR(SyncFolder(folder));
  return {};
}

Result<void> OutputSet::Rename(File& file, bool force) {
  if (RenameNoReplace(file.temporary, file.path) == 0) {
    file.published = true;
    return {};
  }
  if (errno != EEXIST) return IoError("cannot give the file its name", errno).Context(file.path);
  if (!force) return Taken(file.path);
  struct stat status {};
  if (::lstat(file.path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return IsFolder(file.path);
  if (RenameWith(file.temporary, file.path, RENAME_EXCHANGE) == 0) {
    file.published = true;
    file.exchanged = true;
    return {};
  }
  if (!FlagsUnsupported(errno) || std::rename(file.temporary.c_str(), file.path.c_str()) != 0) {
    return IoError("cannot replace the file", errno).Context(file.path);
  }
  file.published = true;
  return {};
}

void OutputSet::Undo() {
  for (File& file : files_) {
    if (file.exchanged) {
      std::rename(file.temporary.c_str(), file.path.c_str());
    } else {
      ::unlink(file.published ? file.path.c_str() : file.temporary.c_str());
    }
  }
  for (const std::string& folder : folders_) ::rmdir(folder.c_str());
}

void OutputSet::ForgetAll() {
  Registry& registry = GlobalRegistry();
  for (const File& file : files_) Forget(registry.files, file.temporary);
  for (const std::string& folder : folders_) Forget(registry.folders, folder);
  files_.clear();
  folders_.clear();
}

void RemoveTemporaryFiles() {
  Registry* registry = registry_for_handlers.load();
  if (registry == nullptr) return;
  Lock(*registry);  // kept for good: the process is about to end
  for (const std::string& file : registry->files) ::unlink(file.c_str());
  for (const std::string& folder : registry->folders) ::rmdir(folder.c_str());
}

}  // namespace ckmap
