// How a file comes by its name, on whatever file system: what OutputSet is made of.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "runtime/base/result.h"

namespace ckmap {

// The folder of a path as it is written; "." for a bare name.
std::string FolderOf(const std::string& path);

// ".NAME.ckmap-<pid>-<random><ending>" in `folder`, for the NAME of `path`.
std::string TemporaryName(const std::string& folder, const std::string& path, const char* ending);

// Removes what sets that were killed have left for `path` and the files that belong to it (the shards and the index of
// a name; with a path that ends in `/`, of all that a set made there): files of such names that no process has locked.
// What cannot be removed stays. Whoever gives names in the folder must not do so meanwhile: call it with the folder
// locked.
void RemoveStale(const std::string& folder, const std::string& path);

// A folder in which nobody else gives names while this lives (flock on the folder: it ends with the process, however
// that ends). File systems that cannot lock do without.
class FolderLock {
 public:
  // Waits for others, but not forever: kIo after two minutes.
  static Result<FolderLock> Take(const std::string& folder);
  // nullopt if another has it.
  static std::optional<FolderLock> Try(const std::string& folder);

  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FolderLock();

  bool locked() const { return fd_ >= 0; }
  // Whether `folder` is still the folder that was locked. kIo where the system does not say: to take it for another one
  // would be to wait for oneself.
  Result<bool> Holds(const std::string& folder) const;

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// A file without a name in `folder`, -1 (and errno) where there is no such thing. One of those that were reserved, if
// there are any.
int OpenUnnamed(const std::string& folder);
// Opens `count` of them for later, for a process that will not be allowed to open any. False where there is no such
// thing.
bool ReserveUnnamed(const std::string& folder, size_t count);
// How many were ever reserved there; 0: this process may open them when it needs them.
size_t ReservedUnnamed(const std::string& folder);
// A file of this new name, locked; -1 and errno.
int OpenNamed(const std::string& name);
// Whether the errno of OpenUnnamed says that this file system cannot.
bool UnnamedUnsupported(int error);

// kIo if the file system of `folder` says that it has less than `size` bytes.
Result<void> CheckRoom(const std::string& folder, int64_t size);
// Reserves the blocks, so that a full disk shows before the work; file systems that cannot get the length alone.
Result<void> ReserveRoom(int fd, int64_t size);

// The file gets mode, owner and group of one that it replaces, the latter two as far as this process may give them.
Result<void> TakeOver(int fd, mode_t mode, uid_t owner, gid_t group);

// Each gives 0, or -1 and errno; EEXIST where `to` is taken.
int LinkUnnamed(int fd, const std::string& to);
int RenameNoReplace(const std::string& from, const std::string& to);
// `from` and `to` change places; ENOTSUP where the file system cannot.
int ExchangeNames(const std::string& from, const std::string& to);

// The names in the folder are on the disk.
Result<void> SyncFolder(const std::string& folder);

}  // namespace ckmap
