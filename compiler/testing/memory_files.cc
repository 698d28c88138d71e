#include "compiler/testing/memory_files.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "runtime/base/check.h"
#include "runtime/base/file.h"

namespace ckmap {

MemoryCheckpoint::MemoryCheckpoint(Manifest manifest, std::vector<std::vector<std::byte>> data)
    : data_(std::move(data)) {
  CKMAP_CHECK(data_.size() == manifest.size());
  manifest_ = std::move(manifest);
  for (size_t i = 0; i < manifest_.size(); ++i) {
    TensorLayout layout;
    layout.storage = static_cast<uint32_t>(i);
    layout.strides = RowMajorStrides(manifest_[i].shape);
    for (int64_t& stride : layout.strides) stride *= DTypeSize(manifest_[i].dtype);
    layouts_.push_back(std::move(layout));
  }
}

Result<void> MemoryCheckpoint::ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const {
  CKMAP_CHECK(offset >= 0 && static_cast<size_t>(offset) + out.size() <= data_[storage].size());
  if (!out.empty()) std::memcpy(out.data(), data_[storage].data() + offset, out.size());
  return {};
}

Result<std::unique_ptr<MemoryWriter>> MemoryWriter::Create(const std::vector<OutputTensor>& tensors) {
  std::unique_ptr<MemoryWriter> writer(new MemoryWriter);
  for (const OutputTensor& tensor : tensors) {
    const std::optional<int64_t> bytes = NumBytes(tensor.shape, tensor.dtype);
    if (!bytes || *bytes > std::numeric_limits<int64_t>::max() - writer->total_)
      return Error(ErrorCode::kLimit, "the tensors are too large");
    writer->extents_.push_back({-1, writer->total_, *bytes});
    writer->total_ += *bytes;
  }
  writer->fd_ = memfd_create("ckmap", MFD_CLOEXEC);
  if (writer->fd_ < 0 || ftruncate(writer->fd_, writer->total_) != 0)
    return IoError("cannot make a file in memory", errno);
  for (FileExtent& extent : writer->extents_) extent.fd = writer->fd_;
  return writer;
}

MemoryWriter::~MemoryWriter() {
  if (fd_ >= 0) close(fd_);
}

Result<std::vector<std::byte>> MemoryWriter::Read(size_t tensor) const {
  const FileExtent& extent = extents_[tensor];
  std::vector<std::byte> out(static_cast<size_t>(extent.length));
  for (size_t done = 0; done < out.size();) {
    const ssize_t count = pread(fd_, out.data() + done, out.size() - done, extent.offset + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return IoError("cannot read back", count < 0 ? errno : EIO);
    done += static_cast<size_t>(count);
  }
  return out;
}

}  // namespace ckmap
