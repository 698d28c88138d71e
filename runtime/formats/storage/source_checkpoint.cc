#include "runtime/formats/storage/source_checkpoint.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/base/parallel.h"
#include "runtime/formats/storage/verify_group.h"

namespace ckmap {

bool SourceCheckpoint::AddTensor(TensorInfo info, int64_t offset, std::vector<int64_t> strides,
                                 std::vector<SourcePart> parts) {
  const auto storage = static_cast<uint32_t>(storages_.size());
  info.storage = storage;
  if (!manifest_.Add(std::move(info))) return false;
  layouts_.push_back({.storage = storage, .offset = offset, .strides = std::move(strides)});
  Storage made{.parts = std::move(parts)};
  for (const SourcePart& part : made.parts) made.bytes += part.length;
  storages_.push_back(std::move(made));
  return true;
}

bool SourceCheckpoint::AddUnreadable(TensorInfo info) {
  CKMAP_CHECK(!info.unreadable.empty());
  if (!manifest_.Add(std::move(info))) return false;
  layouts_.emplace_back();
  return true;
}

std::vector<FileExtent> SourceCheckpoint::storage_extents(uint32_t storage) const {
  if (!source_->plain()) return {};
  std::vector<FileExtent> extents;
  for (const SourcePart& part : storages_.at(storage).parts) {
    extents.push_back({source_->file().fd(), part.begin, part.length});
  }
  return extents;
}

Result<void> SourceCheckpoint::ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const {
  CKMAP_CHECK(offset >= 0 && static_cast<int64_t>(out.size()) <= storage_bytes(storage) - offset);
  for (const SourcePart& part : storages_[storage].parts) {
    if (out.empty()) break;
    if (offset < part.length) {
      const auto count = static_cast<size_t>(std::min(static_cast<int64_t>(out.size()), part.length - offset));
      CKMAP_RETURN_IF_ERROR(source_->ReadAt(part.begin + offset, out.first(count)));
      out = out.subspan(count);
      offset = 0;
    } else {
      offset -= part.length;
    }
  }
  return {};
}

Result<void> SourceCheckpoint::VerifyStorage(uint32_t /*storage*/) const {
  std::call_once(verify_once_, [this] { verified_ = VerifyCrc(); });
  return verified_;
}

void SourceCheckpoint::ExpectCrc(uint32_t expected, int64_t length) {
  auto group = std::make_shared<ChecksumGroup>();
  group->path = source_->path();
  group->runs = {{source_->file().fd(), 0, length}};
  group->check = [path = source_->path(), expected](std::span<const uint32_t> crcs) -> Result<void> {
    if (crcs[0] == expected) return {};
    return Error(ErrorCode::kMalformed,
                 fmt::format("{}: the CRC of the content is {:08x}, but the file's trailer says {:08x}: it is damaged",
                             path, crcs[0], expected));
  };
  crc_ = std::move(group);
}

Result<void> SourceCheckpoint::VerifyCrc() const { return crc_ != nullptr ? VerifyGroup(*crc_) : Result<void>(); }

}  // namespace ckmap
