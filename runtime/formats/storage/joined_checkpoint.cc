#include "runtime/formats/storage/joined_checkpoint.h"

#include <fmt/format.h>

#include "runtime/base/check.h"
#include "runtime/formats/storage/pieced_source.h"

namespace ckmap {
namespace {

// A storage of a part.
class PartStorage final : public StorageSource {
 public:
  PartStorage(const Checkpoint& part, uint32_t storage) : part_(part), storage_(storage) {}
  int64_t bytes() const override { return part_.storage_bytes(storage_); }
  std::vector<FileExtent> extents() const override { return part_.storage_extents(storage_); }
  Result<void> Read(int64_t offset, std::span<std::byte> out) const override {
    return part_.ReadStorage(storage_, offset, out);
  }
  Result<void> Verify() const override { return part_.VerifyStorage(storage_); }

 private:
  const Checkpoint& part_;
  uint32_t storage_;
};

Error Refused(std::string why) { return {ErrorCode::kMalformed, std::move(why)}; }

std::vector<int64_t> DenseStrides(const TensorInfo& info) {
  std::vector<int64_t> strides = RowMajorStrides(info.shape);
  for (int64_t& stride : strides) stride *= DTypeSize(info.dtype);
  return strides;
}

}  // namespace

Result<void> JoinedCheckpoint::AddTensor(TensorInfo info, const std::vector<JoinedSlice>& slices) {
  if (!NumBytes(info.shape, info.dtype)) return Refused(fmt::format("{} is too large", FormatShape(info.shape)));
  const bool whole = slices.size() == 1 && parts_[slices[0].part]->manifest()[slices[0].tensor].shape == info.shape;
  if (!whole && DTypeBits(info.dtype) % 8 != 0) return Refused("slices with elements below a byte cannot be joined");
  std::vector<SourcePiece> pieces;
  for (const JoinedSlice& slice : slices) {
    const Checkpoint& part = *parts_[slice.part];
    const TensorInfo& found = part.manifest()[slice.tensor];
    if (!found.unreadable.empty()) return Refused(found.unreadable);
    if (found.dtype != info.dtype) {
      return Refused(fmt::format("a slice is {}, the tensor is {}", DTypeName(found.dtype), DTypeName(info.dtype)));
    }
    const TensorLayout& layout = part.layout(slice.tensor);
    if (layout.offset != 0 || layout.byteswap || layout.conjugate || layout.negative ||
        layout.strides != DenseStrides(found)) {
      return Refused("a slice is not dense in its file");
    }
    slices_.push_back(std::make_unique<PartStorage>(part, layout.storage));
    pieces.push_back(
        {.offsets = slice.offsets, .sizes = found.shape, .source_offset = 0, .source = slices_.back().get()});
  }
  const auto storage = static_cast<uint32_t>(storages_.size());
  if (whole) {
    storages_.push_back(std::move(slices_.back()));
    slices_.pop_back();
  } else {
    auto joined = PiecedSource(info.shape, DTypeSize(info.dtype), std::move(pieces));
    if (!joined) return std::move(joined).error();
    storages_.push_back(*std::move(joined));
  }
  info.storage = storage;
  TensorLayout layout{.storage = storage, .strides = DenseStrides(info)};
  if (!manifest_.Add(std::move(info))) return Refused("is given twice");
  layouts_.push_back(std::move(layout));
  return {};
}

Result<void> JoinedCheckpoint::ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const {
  CKMAP_CHECK(offset >= 0 && static_cast<int64_t>(out.size()) <= storage_bytes(storage) - offset);
  return storages_[storage]->Read(offset, out);
}

Result<void> JoinedCheckpoint::CheckUnchanged() const {
  for (const auto& part : parts_) CKMAP_RETURN_IF_ERROR(part->CheckUnchanged());
  return {};
}

}  // namespace ckmap
