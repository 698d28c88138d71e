#include "runtime/formats/safetensors/safetensors.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/file_crc.h"
#include "runtime/base/json_strict.h"
#include "runtime/base/little_endian.h"
#include "runtime/base/parallel.h"
#include "runtime/formats/safetensors/safetensors_header.h"
#include "runtime/formats/storage/verify_group.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr int64_t kPrefix = 8;

Error Bad(const std::string& path, std::string_view message) {
  return {ErrorCode::kMalformed, fmt::format("{}: {}", path, message)};
}

// Strides in bytes; for types below a byte, in elements (such tensors are only copied whole).
std::vector<int64_t> ByteStrides(const TensorInfo& info) {
  std::vector<int64_t> strides = RowMajorStrides(info.shape);
  const int64_t bytes = std::max(1, DTypeBits(info.dtype) / 8);
  for (int64_t& stride : strides) stride *= bytes;
  return strides;
}

int64_t ReadInteger(DType dtype, const std::array<std::byte, 8>& raw) {
  switch (dtype) {
    case DType::kU8:
      return LoadLittle<uint8_t>(raw.data());
    case DType::kI16:
      return LoadLittle<int16_t>(raw.data());
    case DType::kU16:
      return LoadLittle<uint16_t>(raw.data());
    case DType::kI32:
      return LoadLittle<int32_t>(raw.data());
    case DType::kU32:
      return LoadLittle<uint32_t>(raw.data());
    case DType::kI64:
    case DType::kU64:
      return LoadLittle<int64_t>(raw.data());
    default:
      return LoadLittle<int8_t>(raw.data());
  }
}

class SafetensorsCheckpoint final : public Checkpoint {
 public:
  SafetensorsCheckpoint(InputFile file, SafetensorsHeader header, int64_t data_begin)
      : file_(std::move(file)), ranges_(std::move(header.ranges)), data_begin_(data_begin) {
    manifest_ = std::move(header.manifest);
    metadata_ = std::move(header.metadata);
    layouts_.reserve(manifest_.size());
    for (size_t i = 0; i < manifest_.size(); ++i) {
      TensorInfo& info = manifest_.at(i);
      const auto kind = metadata_.find(info.name);
      if (info.dtype == DType::kI8 && kind != metadata_.end() && kind->second == "Int4") {
        info.dtype = DType::kI4;
      }
      layouts_.push_back({.storage = static_cast<uint32_t>(i), .strides = ByteStrides(info)});
    }
    if (header.leading_space) {
      warnings_.emplace_back("the header begins with white space; the format asks for `{`, and some readers insist");
    }
    if (const auto flag = metadata_.find("remove_redundancy"); flag != metadata_.end() && flag->second == "True") {
      warnings_.emplace_back(
          "saved with remove_redundancy=True: tensors of this rank that others hold too may be missing here");
    }
    ReadCrcNum();
  }

  std::string_view format() const override { return "safetensors"; }

  int64_t storage_bytes(uint32_t storage) const override {
    const ByteRange& range = ranges_.at(storage);
    return range.end - range.begin;
  }

  std::vector<FileExtent> storage_extents(uint32_t storage) const override {
    return {{file_.fd(), data_begin_ + ranges_.at(storage).begin, storage_bytes(storage)}};
  }

  Result<void> ReadStorage(uint32_t storage, int64_t offset, std::span<std::byte> out) const override {
    CKMAP_CHECK(offset >= 0 && static_cast<int64_t>(out.size()) <= storage_bytes(storage) - offset);
    return file_.ReadAt(data_begin_ + ranges_[storage].begin + offset, out);
  }

  Result<void> VerifyStorage(uint32_t /*storage*/) const override {
    std::call_once(verify_once_, [this] {
      if (crc_ != nullptr) verified_ = VerifyGroup(*crc_);
    });
    return verified_;
  }

  std::shared_ptr<const ChecksumGroup> checksums(uint32_t /*storage*/) const override { return crc_; }

  bool has_crc() const override { return crc_ != nullptr; }

  Result<void> CheckUnchanged() const override { return file_.CheckUnchanged(); }

 private:
  void ReadCrcNum() {
    const auto found = metadata_.find("crc_num");
    if (found == metadata_.end()) return;
    const auto value = ParsePlainUnsigned(found->second);
    if (value && *value <= 0xffffffff) {
      ExpectCrc(static_cast<uint32_t>(*value));
    } else {
      warnings_.push_back("metadata `crc_num` is no CRC-32, nothing is checked against it");
    }
  }

  // MindSpore's crc_num: over all tensors in the order of their names, each name and its bytes. A
  // rank-0 integer of value N counts as N zero bytes (that is what Python's bytes() makes of it).
  void ExpectCrc(uint32_t expected) {
    std::vector<size_t> order(manifest_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [this](size_t a, size_t b) { return manifest_[a].name < manifest_[b].name; });
    auto group = std::make_shared<ChecksumGroup>();
    group->path = file_.path();
    for (const size_t index : order) group->runs.push_back(storage_extents(static_cast<uint32_t>(index))[0]);
    group->check = [this, expected, order = std::move(order)](std::span<const uint32_t> crcs) {
      return Compare(expected, order, crcs);
    };
    crc_ = std::move(group);
  }

  Result<void> Compare(uint32_t expected, const std::vector<size_t>& order, std::span<const uint32_t> crcs) const {
    uint32_t crc = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      const TensorInfo& info = manifest_[order[i]];
      const auto storage = static_cast<uint32_t>(order[i]);
      crc = ExtendCrc32(crc, std::as_bytes(std::span(info.name)));
      if (info.shape.empty() && (IsInteger(info.dtype) || info.dtype == DType::kI4)) {
        std::array<std::byte, 8> raw{};
        CKMAP_RETURN_IF_ERROR(
            ReadStorage(storage, 0, std::span(raw).first(static_cast<size_t>(DTypeSize(info.dtype)))));
        const int64_t value = ReadInteger(info.dtype, raw);
        if (value < 0) return {};  // MindSpore cannot have made this sum: it is not defined here
        crc = ExtendCrc32WithZeros(crc, static_cast<uint64_t>(value));
        continue;
      }
      crc = JoinCrc32(crc, crcs[i], storage_bytes(storage));
    }
    if (crc == expected) return {};
    return Bad(file_.path(),
               fmt::format("the CRC of the tensors is {}, but the metadata say {} (crc_num): the file is damaged", crc,
                           expected));
  }

  InputFile file_;
  std::vector<ByteRange> ranges_;
  int64_t data_begin_ = 0;
  std::shared_ptr<const ChecksumGroup> crc_;  // null: the metadata have none
  mutable std::once_flag verify_once_;
  mutable Result<void> verified_;
};

}  // namespace

bool LooksLikeSafetensors(const InputFile& file) {
  std::array<std::byte, kPrefix + 1> head{};
  if (file.size() < static_cast<int64_t>(head.size()) || !file.ReadAt(0, head)) return false;
  const auto length = LoadLittle<uint64_t>(head.data());
  const char first = static_cast<char>(head[kPrefix]);
  return length >= 2 && length <= uint64_t{kMaxSafetensorsHeader} &&
         std::string_view("{ \t\r\n").find(first) != std::string_view::npos;
}

Result<std::unique_ptr<Checkpoint>> OpenSafetensors(InputFile file) {
  const std::string path = file.path();
  std::array<std::byte, kPrefix> prefix{};
  if (file.size() < kPrefix) {
    return Bad(path, fmt::format("{} bytes are too few for a safetensors file", file.size()));
  }
  CKMAP_RETURN_IF_ERROR(file.ReadAt(0, prefix));
  const auto length = LoadLittle<uint64_t>(prefix.data());
  if (length > static_cast<uint64_t>(file.size() - kPrefix)) {
    return Bad(path, fmt::format("the header should have {} bytes, but only {} follow (is the file cut short?)", length,
                                 file.size() - kPrefix));
  }
  if (length > uint64_t{kMaxSafetensorsHeader}) {
    return Error(ErrorCode::kLimit,
                 fmt::format("{}: the header has {} bytes, at most {} are read", path, length, kMaxSafetensorsHeader));
  }
  std::string text(length, '\0');
  CKMAP_RETURN_IF_ERROR(file.ReadAt(kPrefix, std::as_writable_bytes(std::span(text))));
  const int64_t data_begin = kPrefix + static_cast<int64_t>(length);
  auto header = ParseSafetensorsHeader(std::move(text), file.size() - data_begin);
  if (!header) return std::move(header).error().Context(path);
  return std::unique_ptr<Checkpoint>(
      std::make_unique<SafetensorsCheckpoint>(std::move(file), *std::move(header), data_begin));
}

}  // namespace ckmap
