#include "runtime/formats/writer.h"

#include <algorithm>
#include <utility>

#include "runtime/base/file.h"

namespace ckmap {

Result<void> CheckpointWriter::Write(size_t tensor, int64_t offset, std::span<const std::byte> data) {
  int64_t begin = 0;  // of the run, in bytes of the tensor
  for (const FileExtent& extent : extents(tensor)) {
    if (data.empty()) break;
    const int64_t end = begin + extent.length;
    if (offset < end) {
      const int64_t count = std::min<int64_t>(end - offset, static_cast<int64_t>(data.size()));
      const auto part = data.first(static_cast<size_t>(count));
      if (Result<void> ok = WriteAt(extent.fd, extent.offset + offset - begin, part); !ok) {
        return std::move(ok).error().Context(path(tensor));
      }
      offset += count;
      data = data.subspan(static_cast<size_t>(count));
    }
    begin = end;
  }
  CKMAP_CHECK(data.empty());
  return {};
}

Result<void> CheckpointWriter::ReadBack(size_t tensor, int64_t offset, std::span<std::byte> out) const {
  int64_t begin = 0;
  for (const FileExtent& extent : extents(tensor)) {
    if (out.empty()) break;
    const int64_t end = begin + extent.length;
    if (offset < end) {
      const auto count = static_cast<size_t>(std::min<int64_t>(end - offset, static_cast<int64_t>(out.size())));
      if (Result<void> ok = ReadAt(extent.fd, extent.offset + offset - begin, out.first(count)); !ok) {
        return std::move(ok).error().Context(path(tensor));
      }
      offset += static_cast<int64_t>(count);
      out = out.subspan(count);
    }
    begin = end;
  }
  CKMAP_CHECK(out.empty());
  return {};
}

}  // namespace ckmap
