#include "runtime/formats/safetensors/safetensors_writer.h"

#include <algorithm>
#include <array>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/file.h"
#include "runtime/base/file_crc.h"
#include "runtime/base/json_writer.h"
#include "runtime/base/output_file.h"
#include "runtime/base/parallel.h"
#include "runtime/base/text.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxHeader = 100'000'000;  // readers refuse more
constexpr int64_t kMaxSize = (int64_t{1} << 48) - 1;
constexpr std::string_view kEnding = ".safetensors";
constexpr std::string_view kLongestCrc = "4294967295";

struct FormatDType {
  DType dtype;
  std::string_view name;
  bool mindspore;  // mindspore.load_checkpoint reads it
};

// In the order of the reference implementation's enum; tensors lie in the file by this, last first.
constexpr std::array kFormatDTypes = {
    FormatDType{DType::kBool, "BOOL", true},
    FormatDType{DType::kF4, "F4", false},
    FormatDType{DType::kF6E2M3, "F6_E2M3", false},
    FormatDType{DType::kF6E3M2, "F6_E3M2", false},
    FormatDType{DType::kU8, "U8", true},
    FormatDType{DType::kI8, "I8", true},
    FormatDType{DType::kF8E5M2, "F8_E5M2", false},
    FormatDType{DType::kF8E4M3, "F8_E4M3", false},
    FormatDType{DType::kF8E8M0, "F8_E8M0", false},
    FormatDType{DType::kF8E4M3Fnuz, "F8_E4M3FNUZ", false},
    FormatDType{DType::kF8E5M2Fnuz, "F8_E5M2FNUZ", false},
    FormatDType{DType::kI16, "I16", true},
    FormatDType{DType::kU16, "U16", true},
    FormatDType{DType::kF16, "F16", true},
    FormatDType{DType::kBF16, "BF16", true},
    FormatDType{DType::kI32, "I32", true},
    FormatDType{DType::kU32, "U32", true},
    FormatDType{DType::kF32, "F32", true},
    FormatDType{DType::kC64, "C64", false},
    FormatDType{DType::kF64, "F64", true},
    FormatDType{DType::kI64, "I64", true},
    FormatDType{DType::kU64, "U64", true},
};

// Index into kFormatDTypes; -1 for what the format does not have. MindSpore's two nibbles in a byte
// are stored as I8, and a metadata entry of the tensor's name says "Int4".
int FormatIndex(DType dtype) {
  if (dtype == DType::kI4) dtype = DType::kI8;
  for (size_t i = 0; i < kFormatDTypes.size(); ++i) {
    if (kFormatDTypes[i].dtype == dtype) return static_cast<int>(i);
  }
  return -1;
}

const FormatDType& FormatInfo(DType dtype) { return kFormatDTypes.at(static_cast<size_t>(FormatIndex(dtype))); }

int64_t TensorBytes(const OutputTensor& tensor) { return *NumBytes(tensor.shape, tensor.dtype); }

std::string HeaderEntry(const OutputTensor& tensor, int64_t begin) {
  Shape shape = tensor.shape;
  if (tensor.dtype == DType::kF4) shape.back() *= 2;  // the file counts 4-bit values
  return fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", JsonString(tensor.name),
                     FormatInfo(tensor.dtype).name, fmt::join(shape, ","), begin, begin + TensorBytes(tensor));
}

Result<void> CheckSafetensors(const std::string& path, const std::vector<OutputTensor>& tensors,
                              const WriteOptions& options) {
  Refusals refusals;
  CheckTensors(tensors, refusals);
  for (const OutputTensor& tensor : tensors) {
    if (FormatIndex(tensor.dtype) < 0) {
      refusals.Add(tensor.name, fmt::format("safetensors has no dtype {}", DTypeName(tensor.dtype)));
    }
    if (tensor.name == "__metadata__") refusals.Add(tensor.name, "the name is reserved");
    if (options.metadata.contains(tensor.name) || (options.crc && tensor.name == "crc_num")) {
      refusals.Add(tensor.name,
                   "a metadata entry has the same name, which MindSpore takes for the tensor's "
                   "dtype; rename one of them");
    }
    for (const int64_t size : tensor.shape) {
      if (size > kMaxSize) refusals.Add(tensor.name, fmt::format("size {} exceeds 2^48 - 1", size));
    }
  }
  for (const auto& [key, value] : options.metadata) {
    if (!IsValidUtf8(key) || !IsValidUtf8(value)) {
      refusals.Add(fmt::format("metadata `{}` is not UTF-8", EscapeText(key)));
    }
  }
  return refusals.ToResult(path, "safetensors");
}

std::vector<std::string> MindSporeWarnings(const std::vector<OutputTensor>& tensors, bool crc) {
  std::vector<std::string> warnings;
  for (const FormatDType& format : kFormatDTypes) {
    std::vector<std::string> names;
    for (const OutputTensor& tensor : tensors) {
      if (tensor.dtype == format.dtype) names.push_back(tensor.name);
    }
    if (names.empty()) continue;
    if (!format.mindspore) {
      warnings.push_back(
          fmt::format("MindSpore cannot load a file with dtype {} ({})", DTypeName(format.dtype), NameSome(names)));
    } else if (crc && format.dtype == DType::kBF16) {
      warnings.push_back(
          fmt::format("MindSpore itself cannot check the CRC of bf16 tensors ({}); leave out crc_check when loading",
                      NameSome(names)));
    }
  }
  return warnings;
}

// One file of the output.
struct Shard {
  std::vector<size_t> tensors;  // in the order of the file
  size_t file = 0;              // of the OutputSet
  int64_t header_bytes = 0;     // of the JSON, spaces included
  int64_t data_bytes = 0;
  std::string path;
};

struct Placement {
  size_t shard = 0;
  int64_t offset = 0;  // in the file
  int64_t bytes = 0;
};

class SafetensorsWriter final : public CheckpointWriter {
 public:
  SafetensorsWriter(std::vector<OutputTensor> tensors, const WriteOptions& options)
      : tensors_(std::move(tensors)), options_(options), placements_(tensors_.size()) {
    warnings_ = MindSporeWarnings(tensors_, options_.crc);
  }

  Result<void> Create(const std::string& path);
  Result<void> CreateSet(const SafetensorsSet& set);

  std::vector<FileExtent> extents(size_t tensor) const override {
    const Placement& place = placements_[tensor];
    if (place.bytes == 0) return {};
    return {{set_.fd(shards_[place.shard].file), place.offset, place.bytes}};
  }
  const std::string& path(size_t tensor) const override { return shards_[placements_[tensor].shard].path; }
  int64_t total_bytes() const override { return total_bytes_; }
  void ReplaceReceipt(std::string receipt) override {
    std::string& present = options_.metadata.at(std::string(kReceiptKey));
    CKMAP_CHECK(present.size() == receipt.size());
    present = std::move(receipt);
    stale_header_ = true;
  }
  Result<std::vector<WrittenFile>> Commit() override;

 private:
  Result<void> Partition(const std::string& path);
  Result<void> NameShards(const std::string& path);
  Result<void> LayOut(Shard& shard, size_t index);
  std::string Header(const Shard& shard, std::string_view crc) const;
  size_t SpacesToShareBlocks(const Shard& shard, size_t begin) const;
  Result<void> AddText(const std::string& path, std::string_view text);
  std::string IndexText() const;
  Result<std::string> CrcNum(const Shard& shard) const;
  Result<uint32_t> TensorCrc(size_t tensor, uint32_t crc) const;

  std::vector<OutputTensor> tensors_;
  WriteOptions options_;
  std::vector<Placement> placements_;
  std::vector<Shard> shards_;
  std::string index_path_;  // empty: no index
  bool stale_header_ = false;
  int64_t total_bytes_ = 0;
};

// Greedy, in the order given, as transformers does it: a shard is closed when the next tensor would
// make it too large. A tensor beyond the limit has a shard of its own.
Result<void> SafetensorsWriter::Partition(const std::string& path) {
  int64_t metadata = 64;
  for (const auto& [key, value] : options_.metadata) {
    metadata += static_cast<int64_t>(JsonString(key).size() + JsonString(value).size()) + 2;
  }
  int64_t header = metadata;
  shards_.emplace_back();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    Shard* shard = &shards_.back();
    const int64_t bytes = TensorBytes(tensors_[i]);
    // Offsets take at most 19 digits each.
    int64_t entry = static_cast<int64_t>(HeaderEntry(tensors_[i], 0).size()) + 40;
    if (tensors_[i].dtype == DType::kI4) entry *= 2;
    const bool full = options_.max_shard_size > 0 && !shard->tensors.empty() &&
                      (bytes > options_.max_shard_size - shard->data_bytes || header + entry > kMaxHeader);
    if (full) {
      shard = &shards_.emplace_back();
      header = metadata;
    }
    if (__builtin_add_overflow(shard->data_bytes, bytes, &shard->data_bytes)) {
      return Error(ErrorCode::kLimit, path + ": the tensors together exceed 2^63 bytes");
    }
    header += entry;
    placements_[i].shard = shards_.size() - 1;
    placements_[i].bytes = bytes;
    shard->tensors.push_back(i);
  }
  return {};
}

Result<void> SafetensorsWriter::NameShards(const std::string& path) {
  if (options_.max_shard_size <= 0) {
    shards_.front().path = path;
    return {};
  }
  std::string stem = ShardedName(path);
  if (stem != path) CKMAP_RETURN_IF_ERROR(set_.AddFolder(path));
  stem.resize(stem.size() - kEnding.size());
  if (options_.index || shards_.size() > 1) index_path_ = stem + ".safetensors.index.json";
  if (shards_.size() == 1) {
    shards_.front().path = stem + ".safetensors";
    return {};
  }
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards_[i].path = fmt::format("{}-{:05}-of-{:05}.safetensors", stem, i + 1, shards_.size());
  }
  return {};
}

std::string SafetensorsWriter::Header(const Shard& shard, std::string_view crc) const {
  std::string metadata;
  const auto add = [&](std::string_view key, std::string_view value) {
    metadata += fmt::format("{}{}:{}", metadata.empty() ? "" : ",", JsonString(key), JsonString(value));
  };
  for (const auto& [key, value] : options_.metadata) {
    if (options_.crc && key == "crc_num") continue;
    if (key == kReceiptKey && &shard != &shards_.front()) continue;  // it is long: once for the set
    add(key, value);
  }
  if (options_.crc) add("crc_num", crc);
  for (const size_t i : shard.tensors) {
    if (tensors_[i].dtype == DType::kI4) add(tensors_[i].name, "Int4");
  }
  std::string text = "{";
  if (!metadata.empty()) text += "\"__metadata__\":{" + metadata + "}";
  int64_t begin = 0;
  for (const size_t i : shard.tensors) {
    if (text.size() > 1) text += ',';
    text += HeaderEntry(tensors_[i], begin);
    begin += TensorBytes(tensors_[i]);
  }
  text += '}';
  return text;
}

Result<void> SafetensorsWriter::LayOut(Shard& shard, size_t index) {
  std::sort(shard.tensors.begin(), shard.tensors.end(), [&](size_t a, size_t b) {
    const int rank_a = FormatIndex(tensors_[a].dtype);
    const int rank_b = FormatIndex(tensors_[b].dtype);
    return rank_a != rank_b ? rank_a > rank_b : tensors_[a].name < tensors_[b].name;
  });
  std::string header = Header(shard, kLongestCrc);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  header.resize(header.size() + SpacesToShareBlocks(shard, 8 + header.size()), ' ');
  shard.header_bytes = static_cast<int64_t>(header.size());
  if (shard.header_bytes > kMaxHeader) {
    return Error(ErrorCode::kLimit, fmt::format("{}: the header of {} tensors would take {} bytes, readers refuse more "
                                                "than {}; write shards (--max-shard-size)",
                                                shard.path, shard.tensors.size(), header.size(), kMaxHeader));
  }
  int64_t offset = 8 + shard.header_bytes;
  for (const size_t i : shard.tensors) {
    placements_[i].shard = index;
    placements_[i].offset = offset;
    offset += placements_[i].bytes;
  }
  CKMAP_ASSIGN_OR_RETURN(shard.file, set_.Add(shard.path, offset, options_.force));
  total_bytes_ += offset;
  if (Result<void> ok = WriteAt(set_.fd(shard.file), 8, std::as_bytes(std::span(header))); !ok) {
    return std::move(ok).error().Context(shard.path);
  }
  return {};
}

// Spaces that move the data, which would begin at `begin`, to where most bytes that are copies lie at the same place of a
// block as in their source. 0 for small files, and where nothing is a copy.
size_t SafetensorsWriter::SpacesToShareBlocks(const Shard& shard, size_t begin) const {
  constexpr int64_t kLarge = int64_t{1} << 20;
  std::map<int64_t, int64_t> votes;  // bytes by the spaces that they ask for
  int64_t offset = static_cast<int64_t>(begin);
  for (const size_t i : shard.tensors) {
    const std::optional<int64_t>& from = tensors_[i].copied_from;
    const int64_t spaces = from ? ((*from - offset) % kSharedBlock + kSharedBlock) % kSharedBlock : 0;
    if (from && spaces % 8 == 0) votes[spaces] += placements_[i].bytes;
    offset += placements_[i].bytes;
  }
  if (votes.empty() || offset - static_cast<int64_t>(begin) < kLarge) return 0;
  const auto most =
      std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return static_cast<size_t>(most->first);
}

std::string SafetensorsWriter::IndexText() const {
  std::vector<size_t> order(tensors_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return tensors_[a].name < tensors_[b].name; });
  int64_t data_bytes = 0;
  for (const Shard& shard : shards_) data_bytes += shard.data_bytes;
  JsonWriter json;
  json.BeginObject().OnLines();
  json.Key("metadata").BeginObject().Key("total_size").Int(data_bytes).EndObject();
  json.Key("weight_map").BeginObject().OnLines();
  for (const size_t i : order) {
    const std::string& file = path(i);
    json.Key(tensors_[i].name).String(file.substr(file.rfind('/') + 1));
  }
  json.EndObject().EndObject();
  return std::move(json).Finish();
}

Result<void> SafetensorsWriter::Create(const std::string& path) {
  CKMAP_RETURN_IF_ERROR(Partition(path));
  CKMAP_RETURN_IF_ERROR(NameShards(path));
  for (size_t i = 0; i < shards_.size(); ++i) CKMAP_RETURN_IF_ERROR(LayOut(shards_[i], i));
  return index_path_.empty() ? Result<void>() : AddText(index_path_, IndexText());
}

Result<void> SafetensorsWriter::AddText(const std::string& path, std::string_view text) {
  CKMAP_ASSIGN_OR_RETURN(const size_t file, set_.Add(path, static_cast<int64_t>(text.size()), options_.force));
  total_bytes_ += static_cast<int64_t>(text.size());
  if (Result<void> ok = WriteAt(set_.fd(file), 0, std::as_bytes(std::span(text))); !ok) {
    return std::move(ok).error().Context(path);
  }
  return {};
}

Result<void> SafetensorsWriter::CreateSet(const SafetensorsSet& set) {
  CKMAP_RETURN_IF_ERROR(set_.AddFolder(set.folder));
  const std::string folder = set.folder + (set.folder.ends_with('/') ? "" : "/");
  if (set.first) CKMAP_RETURN_IF_ERROR(AddText(folder + set.first->first, set.first->second));
  size_t tensor = 0;
  for (const SafetensorsSet::File& file : set.files) {
    Shard& shard = shards_.emplace_back();
    shard.path = folder + file.name;
    for (size_t i = 0; i < file.tensors.size(); ++i, ++tensor) {
      placements_[tensor].bytes = TensorBytes(tensors_[tensor]);
      shard.tensors.push_back(tensor);
    }
  }
  for (size_t i = 0; i < shards_.size(); ++i) CKMAP_RETURN_IF_ERROR(LayOut(shards_[i], i));
  return set.last ? AddText(folder + set.last->first, set.last->second) : Result<void>();
}

// MindSpore hashes bytes(ndarray), and Python's bytes() of a rank-0 integer array is as many zero
// bytes as its value says.
Result<uint32_t> SafetensorsWriter::TensorCrc(size_t tensor, uint32_t crc) const {
  const OutputTensor& info = tensors_[tensor];
  const Placement& place = placements_[tensor];
  const int fd = set_.fd(shards_[place.shard].file);
  if (!info.shape.empty() || !(IsInteger(info.dtype) || info.dtype == DType::kI4)) {
    CKMAP_ASSIGN_OR_RETURN(const uint32_t data, FileCrc32(fd, place.offset, place.bytes, DefaultThreads()));
    return JoinCrc32(crc, data, place.bytes);
  }
  uint64_t value = 0;
  CKMAP_RETURN_IF_ERROR(
      ReadAt(fd, place.offset, std::as_writable_bytes(std::span(&value, 1)).first(static_cast<size_t>(place.bytes))));
  const bool is_signed = info.dtype == DType::kI8 || info.dtype == DType::kI16 || info.dtype == DType::kI32 ||
                         info.dtype == DType::kI64 || info.dtype == DType::kI4;
  const bool negative = is_signed && ((value >> (8 * place.bytes - 1)) & 1) != 0;
  if (negative || value >> 40 != 0) {
    return Error(ErrorCode::kMismatch, fmt::format("tensor `{}` is a single integer that is negative or above 2^40: "
                                                   "MindSpore's checksum is not defined for it; leave out --crc",
                                                   EscapeText(info.name)));
  }
  return ExtendCrc32WithZeros(crc, value);
}

Result<std::string> SafetensorsWriter::CrcNum(const Shard& shard) const {
  std::vector<size_t> order = shard.tensors;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return tensors_[a].name < tensors_[b].name; });
  uint32_t crc = 0;
  for (const size_t i : order) {
    crc = ExtendCrc32(crc, std::as_bytes(std::span(tensors_[i].name)));
    CKMAP_ASSIGN_OR_RETURN(crc, TensorCrc(i, crc));
  }
  return fmt::format("{}", crc);
}

Result<std::vector<WrittenFile>> SafetensorsWriter::Commit() {
  std::vector<WrittenFile> files;
  for (size_t i = 0; i < set_.file_count(); ++i) files.push_back({set_.path(i), set_.size(i)});
  for (const Shard& shard : shards_) {
    const int fd = set_.fd(shard.file);
    if (options_.crc || stale_header_) {
      Result<std::string> crc = options_.crc ? CrcNum(shard) : std::string();
      if (!crc) return std::move(crc).error().Context(shard.path);
      std::string header = Header(shard, *crc);
      header.resize(static_cast<size_t>(shard.header_bytes), ' ');
      if (Result<void> ok = WriteAt(fd, 8, std::as_bytes(std::span(header))); !ok) {
        return std::move(ok).error().Context(shard.path);
      }
    }
    std::array<std::byte, 8> length{};
    for (size_t i = 0; i < 8; ++i) {
      length[i] = static_cast<std::byte>(static_cast<uint64_t>(shard.header_bytes) >> (8 * i));
    }
    if (Result<void> ok = WriteAt(fd, 0, length); !ok) {
      return std::move(ok).error().Context(shard.path);
    }
  }
  CKMAP_RETURN_IF_ERROR(set_.Publish({options_.force, options_.fsync}));
  return files;
}

}  // namespace

std::string ShardedName(const std::string& path) {
  if (path.ends_with(kEnding)) return path;
  return path + (path.ends_with('/') ? "" : "/") + "model.safetensors";
}

Result<std::unique_ptr<CheckpointWriter>> CreateSafetensors(const std::string& path, std::vector<OutputTensor> tensors,
                                                            const WriteOptions& options) {
  CKMAP_RETURN_IF_ERROR(CheckSafetensors(path, tensors, options));
  auto writer = std::make_unique<SafetensorsWriter>(std::move(tensors), options);
  CKMAP_RETURN_IF_ERROR(writer->Create(path));
  return std::unique_ptr<CheckpointWriter>(std::move(writer));
}

Result<std::unique_ptr<CheckpointWriter>> CreateSafetensorsSet(const SafetensorsSet& set, const WriteOptions& options) {
  std::vector<OutputTensor> tensors;
  for (const SafetensorsSet::File& file : set.files) {
    CKMAP_RETURN_IF_ERROR(CheckSafetensors(set.folder, file.tensors, options));
    tensors.insert(tensors.end(), file.tensors.begin(), file.tensors.end());
  }
  auto writer = std::make_unique<SafetensorsWriter>(std::move(tensors), options);
  CKMAP_RETURN_IF_ERROR(writer->CreateSet(set));
  return std::unique_ptr<CheckpointWriter>(std::move(writer));
}

}  // namespace ckmap
