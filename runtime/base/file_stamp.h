// What a file was at some time, to notice that it is another one now.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace ckmap {

struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t links = 0;
  int64_t size = 0;
  int64_t modified_ns = 0;  // anybody may set it back
  int64_t changed_ns = 0;   // the kernel's: every write moves it on
};

FileStamp StampOf(const struct stat& status);

inline bool SameFile(const FileStamp& a, const FileStamp& b) { return a.device == b.device && a.inode == b.inode; }

// "" if the contents cannot have changed since `then`, otherwise what shows that they did. The time of change alone
// proves nothing where the number of links is another: the file was removed, or got another name.
std::string ChangeSince(const FileStamp& then, const FileStamp& now);

}  // namespace ckmap
