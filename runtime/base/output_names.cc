#include "runtime/base/output_names.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/file.h"

namespace ckmap {
namespace {

constexpr std::string_view kPartial = ".partial";
constexpr std::string_view kReplaced = ".replaced";

template <typename Call>
int Retry(const Call& call) {
  int result = 0;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

std::string_view NameOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// ".NAME.ckmap-", where the name may be as long as the file system allows and the temporary one must fit too.
std::string TemporaryStem(const std::string& path) { return fmt::format(".{}.ckmap-", NameOf(path).substr(0, 180)); }

// Whether a name is that of a temporary file for `path`, or for another shard, or the index, of its checkpoint.
bool IsTemporaryFor(std::string_view name, std::string_view path) {
  if (!name.ends_with(kPartial) && !name.ends_with(kReplaced)) return false;
  if (name.find(".ckmap-") == std::string_view::npos || !name.starts_with('.')) return false;
  std::string_view stem = NameOf(path).substr(0, 180);
  if (stem.empty()) return true;
  if (const size_t dot = std::min(stem.find(".safetensors"), stem.rfind('.')); dot != 0) stem = stem.substr(0, dot);
  if (const size_t count = stem.rfind("-of-"); count != std::string_view::npos)
    stem = stem.substr(0, stem.rfind('-', count - 1));
  name.remove_prefix(1);
  return name.size() > stem.size() && name.starts_with(stem) && (name[stem.size()] == '.' || name[stem.size()] == '-');
}

int RenameWith(const std::string& from, const std::string& to, unsigned flags) {
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
}

bool FlagsUnsupported(int error) { return error == EINVAL || error == ENOSYS || error == ENOTSUP; }

// Its owner holds the lock as long as it lives, on whatever machine.
void RemoveIfUnlocked(int folder, const char* name) {
  const int fd = Retry([&] { return ::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); });
  if (fd < 0) return;
  struct stat status {};
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && ::flock(fd, LOCK_EX | LOCK_NB) == 0) {
    ::unlinkat(folder, name, 0);
  }
  ::close(fd);
}

}  // namespace

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string TemporaryName(const std::string& folder, const std::string& path, const char* ending) {
  std::random_device random;
  return fmt::format("{}/{}{}-{:08x}{:08x}{}", folder, TemporaryStem(path), ::getpid(), random(), random(), ending);
}

void RemoveStale(const std::string& folder, const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), ::closedir);
  if (listing == nullptr) return;
  while (const dirent* entry = ::readdir(listing.get())) {
    if (IsTemporaryFor(entry->d_name, path)) RemoveIfUnlocked(::dirfd(listing.get()), entry->d_name);
  }
}

std::optional<FolderLock> FolderLock::Try(const std::string& folder) {
  const int fd = Retry([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  FolderLock lock(fd);
  if (fd >= 0 && Retry([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK)
    return std::nullopt;
  return lock;
}

Result<FolderLock> FolderLock::Take(const std::string& folder) {
  constexpr int kTries = 24'000;
  for (int i = 0; i < kTries; ++i) {
    if (std::optional<FolderLock> lock = Try(folder)) return *std::move(lock);
    const timespec pause{0, 5'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return Error(
      ErrorCode::kIo,
      folder + ": another run has been giving names in this folder for two minutes; try again when it has ended");
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<bool> FolderLock::Holds(const std::string& folder) const {
  if (!locked()) return false;
  struct stat mine {
  }, now{};
  if (Retry([&] { return ::fstat(fd_, &mine); }) != 0)
    return IoError("cannot find out which folder is locked", errno).Context(folder);
  if (Retry([&] { return ::stat(folder.c_str(), &now); }) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return IoError("cannot find out which folder it is", errno).Context(folder);
  }
  return mine.st_dev == now.st_dev && mine.st_ino == now.st_ino;
}

namespace {

struct Reserved {
  uint64_t device = 0;
  uint64_t folder = 0;
  int fd = -1;
};

// Filled before there is a second thread.
struct Reserve {
  std::mutex mutex;
  std::vector<Reserved> files;
  std::map<std::pair<uint64_t, uint64_t>, size_t> counts;  // ever reserved, by device and folder
};

Reserve& GlobalReserve() {
  static Reserve* reserve = new Reserve;
  return *reserve;
}

int OpenNewUnnamed(const std::string& folder) {
  // LinkUnnamed may need it; without /proc it is a matter of the kernel's age.
  if (::access("/proc/self/fd", X_OK) != 0) {
    errno = ENOTSUP;
    return -1;
  }
  const int fd = Retry([&] { return ::open(folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0666); });
  // For the instant in which it has a temporary name; a file system without locks does without.
  if (fd >= 0) (void)::flock(fd, LOCK_EX | LOCK_NB);
  return fd;
}

}  // namespace

size_t ReservedUnnamed(const std::string& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return 0;
  Reserve& reserve = GlobalReserve();
  const std::lock_guard lock(reserve.mutex);
  const auto known = reserve.counts.find({status.st_dev, status.st_ino});
  return known == reserve.counts.end() ? 0 : known->second;
}

bool ReserveUnnamed(const std::string& folder, size_t count) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return false;
  Reserve& reserve = GlobalReserve();
  const std::lock_guard lock(reserve.mutex);
  for (size_t i = 0; i < count; ++i) {
    reserve.files.reserve(reserve.files.size() + 1);
    const int fd = OpenNewUnnamed(folder);
    if (fd < 0) return false;
    reserve.files.push_back({status.st_dev, status.st_ino, fd});
    ++reserve.counts[{status.st_dev, status.st_ino}];
  }
  return true;
}

int OpenUnnamed(const std::string& folder) {
  Reserve& reserve = GlobalReserve();
  const std::lock_guard lock(reserve.mutex);
  struct stat status {};
  if (!reserve.files.empty() && ::stat(folder.c_str(), &status) == 0) {
    for (auto file = reserve.files.begin(); file != reserve.files.end(); ++file) {
      if (file->device != status.st_dev || file->folder != status.st_ino) continue;
      const int fd = file->fd;
      reserve.files.erase(file);
      return fd;
    }
  }
  return OpenNewUnnamed(folder);
}

bool UnnamedUnsupported(int error) {
  // EISDIR, ENOENT: kernels that do not know the flag. EINVAL, ENOSYS: file systems in user space.
  return error == ENOTSUP || error == EISDIR || error == ENOENT || error == EINVAL || error == ENOSYS;
}

int OpenNamed(const std::string& name) {
  const int fd = Retry([&] { return ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
  if (fd < 0) return -1;
  const bool taken = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  struct stat status {};
  // Somebody who removes stale files came between the two calls.
  if (taken || (::fstat(fd, &status) == 0 && status.st_nlink == 0)) {
    ::close(fd);
    errno = EEXIST;
    return -1;
  }
  return fd;
}

Result<void> CheckRoom(const std::string& folder, int64_t size) {
  struct statvfs status {};
  if (Retry([&] { return ::statvfs(folder.c_str(), &status); }) != 0) {
    return IoError("cannot find out the free space", errno).Context(folder);
  }
  uint64_t free_bytes = 0;
  if (__builtin_mul_overflow(uint64_t{status.f_bavail}, uint64_t{status.f_frsize}, &free_bytes)) return {};
  if (free_bytes < static_cast<uint64_t>(size)) {
    return Error(ErrorCode::kIo, fmt::format("{}: no room: {} bytes are needed, {} are free; free some space or "
                                             "write to another disk",
                                             folder, size, free_bytes));
  }
  return {};
}

Result<void> ReserveRoom(int fd, int64_t size) {
  if (size == 0) return {};
  if (Retry([&] { return ::fallocate(fd, 0, 0, size); }) == 0) return {};
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
    return IoError(fmt::format("cannot reserve {} bytes", size), errno);
  }
  if (Retry([&] { return ::ftruncate(fd, size); }) == 0) return {};
  return IoError(fmt::format("cannot make it {} bytes long", size), errno);
}

Result<void> TakeOver(int fd, mode_t mode, uid_t owner, gid_t group) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return IoError("cannot stat", errno);
  if (status.st_uid != owner || status.st_gid != group) {
    // Only root gives files away; anybody may give them to a group of their own.
    if (::fchown(fd, owner, group) != 0 && status.st_gid != group && ::fchown(fd, static_cast<uid_t>(-1), group) != 0)
      mode &= ~mode_t{070};
  }
  if ((status.st_mode & 0777) == mode || Retry([&] { return ::fchmod(fd, mode); }) == 0) return {};
  return IoError("cannot give the file the mode of the one that it replaces", errno);
}

int LinkUnnamed(int fd, const std::string& to) {
  // The direct way needs a kernel of 6.10 or a capability, the other one /proc.
  if (::linkat(fd, "", AT_FDCWD, to.c_str(), AT_EMPTY_PATH) == 0) return 0;
  if (errno == EEXIST) return -1;
  const std::string from = fmt::format("/proc/self/fd/{}", fd);
  return ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW);
}

// Where the file system has no rename that never replaces, a hard link does the same; where it has no hard
// links either, a look before the rename must do.
int RenameNoReplace(const std::string& from, const std::string& to) {
  if (RenameWith(from, to, RENAME_NOREPLACE) == 0) return 0;
  if (!FlagsUnsupported(errno)) return -1;
  if (::link(from.c_str(), to.c_str()) == 0) {
    if (::unlink(from.c_str()) == 0) return 0;
    const int error = errno;
    ::unlink(to.c_str());
    errno = error;
    return -1;
  }
  if (errno == EEXIST) return -1;
  struct stat status {};
  if (::lstat(to.c_str(), &status) == 0) {
    errno = EEXIST;
    return -1;
  }
  return std::rename(from.c_str(), to.c_str());
}

int ExchangeNames(const std::string& from, const std::string& to) {
  if (RenameWith(from, to, RENAME_EXCHANGE) == 0) return 0;
  if (FlagsUnsupported(errno)) errno = ENOTSUP;
  return -1;
}

Result<void> SyncFolder(const std::string& folder) {
  const int fd = Retry([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
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

}  // namespace ckmap
