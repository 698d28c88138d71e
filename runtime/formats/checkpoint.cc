#include "runtime/formats/checkpoint.h"

namespace ckmap {

std::optional<FileExtent> FindExtent(std::span<const FileExtent> extents, int64_t offset, int64_t length) {
  int64_t begin = 0;
  for (const FileExtent& extent : extents) {
    if (extent.fd >= 0 && offset >= begin && offset + length <= begin + extent.length)
      return FileExtent{extent.fd, extent.offset + offset - begin, length};
    begin += extent.length;
  }
  return std::nullopt;
}

Result<void> Checkpoint::VerifyStorage(uint32_t /*storage*/) const { return {}; }

std::shared_ptr<const ChecksumGroup> Checkpoint::checksums(uint32_t /*storage*/) const { return nullptr; }

}  // namespace ckmap
