// How a file comes by its name, on whatever file system: what OutputSet is made of.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/result.h"

namespace ckmap {

// The folder of a path as it is written; "." for a bare name.
std::string FolderOf(const std::string& path);

// ".NAME.ckmap-<pid>-<random><ending>" in `folder`, for the NAME of `path`.
std::string TemporaryName(const std::string& folder, const std::string& path, const char* ending);

// Removes what sets that were killed have left for `path`: files of such names that no process has locked.
// What cannot be removed stays.
void RemoveStale(const std::string& folder, const std::string& path);

// A file without a name in `folder`, -1 (and errno) where there is no such thing.
int OpenUnnamed(const std::string& folder);
// A file of this new name, locked; -1 and errno.
int OpenNamed(const std::string& name);
// Whether the errno of OpenUnnamed says that this file system cannot.
bool UnnamedUnsupported(int error);

// kIo if the file system of `folder` says that it has less than `size` bytes.
Result<void> CheckRoom(const std::string& folder, int64_t size);
// Reserves the blocks, so that a full disk shows before the work; file systems that cannot get the length alone.
Result<void> ReserveRoom(int fd, int64_t size);

// Each gives 0, or -1 and errno; EEXIST where `to` is taken.
int LinkUnnamed(int fd, const std::string& to);
int RenameNoReplace(const std::string& from, const std::string& to);
// `from` and `to` change places; ENOTSUP where the file system cannot.
int ExchangeNames(const std::string& from, const std::string& to);

// The names in the folder are on the disk.
Result<void> SyncFolder(const std::string& folder);

}  // namespace ckmap
