#include "runtime/base/file_stamp.h"

namespace ckmap {
namespace {

int64_t Nanoseconds(const struct timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

}  // namespace

FileStamp StampOf(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .links = status.st_nlink,
          .size = status.st_size,
          .modified_ns = Nanoseconds(status.st_mtim),
          .changed_ns = Nanoseconds(status.st_ctim)};
}

std::string ChangeSince(const FileStamp& then, const FileStamp& now) {
  if (!SameFile(then, now)) return "was replaced by another file while it was read";
  if (then.size != now.size || then.modified_ns != now.modified_ns) return "changed while it was read";
  if (then.changed_ns != now.changed_ns && then.links == now.links) {
    return "changed while it was read (its time of modification is as before, its time of change is not)";
  }
  return "";
}

}  // namespace ckmap
