#include "runtime/formats/storage/verify_group.h"

#include <vector>

#include "runtime/base/file_crc.h"
#include "runtime/base/parallel.h"

namespace ckmap {

Result<void> VerifyGroup(const ChecksumGroup& group) {
  std::vector<uint32_t> crcs;
  for (const FileExtent& run : group.runs) {
    auto crc = FileCrc32(run.fd, run.offset, run.length, DefaultThreads());
    if (!crc) return std::move(crc).error().Context(group.path);
    crcs.push_back(*crc);
  }
  return group.check(crcs);
}

}  // namespace ckmap
