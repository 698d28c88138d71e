#include "runtime/formats/torch_writer.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "runtime/base/file.h"
#include "runtime/base/output_file.h"
#include "runtime/base/parallel.h"
#include "runtime/base/text.h"
#include "runtime/formats/file_crc.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kLocalSize = 30;
constexpr uint64_t kIn64 = 0xffffffff;
constexpr int64_t kLocal64Size = 20;  // an extra field with both sizes
constexpr size_t kBatch = 1000;       // pairs a SETITEMS, as Python writes them

struct TorchType {
  DType dtype;
  std::string_view storage;  // "": untyped, and the tensor names its type
  std::string_view name;
};
constexpr TorchType kTypes[] = {
    {DType::kBool, "BoolStorage", "bool"},
    {DType::kI8, "CharStorage", "int8"},
    {DType::kU8, "ByteStorage", "uint8"},
    {DType::kI16, "ShortStorage", "int16"},
    {DType::kU16, "", "uint16"},
    {DType::kI32, "IntStorage", "int32"},
    {DType::kU32, "", "uint32"},
    {DType::kI64, "LongStorage", "int64"},
    {DType::kU64, "", "uint64"},
    {DType::kF16, "HalfStorage", "float16"},
    {DType::kBF16, "BFloat16Storage", "bfloat16"},
    {DType::kF32, "FloatStorage", "float32"},
    {DType::kF64, "DoubleStorage", "float64"},
    {DType::kF8E4M3, "", "float8_e4m3fn"},
    {DType::kF8E5M2, "", "float8_e5m2"},
    {DType::kF8E4M3Fnuz, "", "float8_e4m3fnuz"},
    {DType::kF8E5M2Fnuz, "", "float8_e5m2fnuz"},
    {DType::kF8E8M0, "", "float8_e8m0fnu"},
    {DType::kF4, "", "float4_e2m1fn_x2"},
    {DType::kC32, "", "complex32"},
    {DType::kC64, "ComplexFloatStorage", "complex64"},
    {DType::kC128, "ComplexDoubleStorage", "complex128"},
};

const TorchType* FindType(DType dtype) {
  for (const TorchType& type : kTypes) {
    if (type.dtype == dtype) return &type;
  }
  return nullptr;
}

std::string Little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i)
    out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
  return out;
}

// ---- the pickle, protocol 2

std::string PickleInt(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  if (bits < 0x100) return "K" + Little(bits, 1);
  if (bits < 0x10000) return "M" + Little(bits, 2);
  if (bits < 0x80000000) return "J" + Little(bits, 4);
  return "\x8a\x08" + Little(bits, 8);
}

std::string PickleText(std::string_view text) {
  return "X" + Little(text.size(), 4) + std::string(text);
}

std::string PickleTuple(const std::vector<int64_t>& values) {
  std::string out = "(";
  for (const int64_t value : values) out += PickleInt(value);
  return out + "t";
}

// torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()), or _v3 with the
// element type where storages have no class for it.
std::string PickleTensor(const OutputTensor& tensor, size_t key) {
  const TorchType& type = *FindType(tensor.dtype);
  const bool typed = !type.storage.empty();
  const int64_t count = typed ? *NumElements(tensor.shape) : *NumBytes(tensor.shape, tensor.dtype);
  std::string out =
      typed ? "ctorch._utils\n_rebuild_tensor_v2\n" : "ctorch._utils\n_rebuild_tensor_v3\n";
  out += "((" + PickleText("storage");
  out += typed ? fmt::format("ctorch\n{}\n", type.storage) : "ctorch.storage\nUntypedStorage\n";
  out += PickleText(std::to_string(key)) + PickleText("cpu") + PickleInt(count) + "tQ";
  out += PickleInt(0) + PickleTuple(tensor.shape) + PickleTuple(RowMajorStrides(tensor.shape));
  out +=
      "\x89"
      "ccollections\nOrderedDict\n)R";
  if (!typed) out += fmt::format("ctorch\n{}\n", type.name);
  return out + "tR";
}

std::string PickleDict(const std::vector<OutputTensor>& tensors) {
  std::string out = "\x80\x02}";
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i % kBatch == 0) out += "(";
    out += PickleText(tensors[i].name) + PickleTensor(tensors[i], i);
    if (i % kBatch == kBatch - 1 || i + 1 == tensors.size()) out += "u";
  }
  return out + ".";
}

// ---- the archive

struct Record {
  std::string name;
  std::string content;  // of the small ones; a tensor's bytes are written by others
  std::optional<size_t> tensor;
  int64_t size = 0;
  int64_t header_offset = 0;
  int64_t data_offset = 0;
  uint32_t crc = 0;
};

bool Is64(const Record& record) { return static_cast<uint64_t>(record.size) >= kIn64; }

// Name and flags (bit 11: UTF-8) as in both headers.
std::string CommonHeader(const Record& record, size_t extra_size) {
  const uint64_t size = Is64(record) ? kIn64 : static_cast<uint64_t>(record.size);
  return Little(Is64(record) ? 45 : 20, 2) + Little(0x800, 2) + Little(0, 2) + Little(0, 2) +
         Little(0x21, 2) + Little(record.crc, 4) + Little(size, 4) + Little(size, 4) +
         Little(record.name.size(), 2) + Little(extra_size, 2);
}

// The local header; its extra fields fill up to the aligned data ("FB" as torch does it).
std::string LocalHeader(const Record& record) {
  std::string extra;
  if (Is64(record)) {
    const auto size = static_cast<uint64_t>(record.size);
    extra = Little(1, 2) + Little(16, 2) + Little(size, 8) + Little(size, 8);
  }
  const auto room = static_cast<size_t>(record.data_offset - record.header_offset - kLocalSize) -
                    record.name.size() - extra.size();
  extra += "FB" + Little(room - 4, 2) + std::string(room - 4, 'Z');
  return Little(0x04034b50, 4) + CommonHeader(record, extra.size()) + record.name + extra;
}

std::string DirectoryEntry(const Record& record) {
  std::string values;
  if (Is64(record))
    values = Little(static_cast<uint64_t>(record.size), 8) +
             Little(static_cast<uint64_t>(record.size), 8);
  uint64_t offset = static_cast<uint64_t>(record.header_offset);
  if (offset >= kIn64) {
    values += Little(offset, 8);
    offset = kIn64;
  }
  const std::string extra = values.empty() ? "" : Little(1, 2) + Little(values.size(), 2) + values;
  return Little(0x02014b50, 4) + Little(45, 2) + CommonHeader(record, extra.size()) + Little(0, 2) +
         Little(0, 2) + Little(0, 2) + Little(0, 4) + Little(offset, 4) + record.name + extra;
}

// Both end records and the locator, as torch always writes them.
std::string EndRecords(uint64_t entries, uint64_t offset, uint64_t size) {
  const auto narrow = [](uint64_t value, uint64_t most) { return value < most ? value : most; };
  return Little(0x06064b50, 4) + Little(44, 8) + Little(45, 2) + Little(45, 2) + Little(0, 8) +
         Little(entries, 8) + Little(entries, 8) + Little(size, 8) + Little(offset, 8) +
         Little(0x07064b50, 4) + Little(0, 4) + Little(offset + size, 8) + Little(1, 4) +
         Little(0x06054b50, 4) + Little(0, 4) + Little(narrow(entries, 0xffff), 2) +
         Little(narrow(entries, 0xffff), 2) + Little(narrow(size, kIn64), 4) +
         Little(narrow(offset, kIn64), 4) + Little(0, 2);
}

class TorchWriter final : public CheckpointWriter {
 public:
  TorchWriter(std::vector<OutputTensor> tensors, const WriteOptions& options)
      : tensors_(std::move(tensors)), options_(options) {
    if (!options_.metadata.empty())
      warnings_.emplace_back("torch files have no place for metadata; it is left out");
  }

  Result<void> Create(const std::string& path);

  std::vector<FileExtent> extents(size_t tensor) const override {
    const Record& record = records_[tensor + first_tensor_];
    if (record.size == 0) return {};
    return {{set_.fd(file_), record.data_offset, record.size}};
  }
  const std::string& path(size_t /*tensor*/) const override { return set_.path(file_); }
  int64_t total_bytes() const override { return set_.size(file_); }
  Result<std::vector<WrittenFile>> Commit() override;

 private:
  void AddSmall(std::string name, std::string content);
  Result<void> LayOut(const std::string& path);
  Result<void> WriteRecord(Record& record);

  std::vector<OutputTensor> tensors_;
  WriteOptions options_;
  std::vector<Record> records_;
  size_t first_tensor_ = 0;
  int64_t directory_offset_ = 0;
  int64_t directory_size_ = 0;
  size_t file_ = 0;
  OutputSet set_;
};

void TorchWriter::AddSmall(std::string name, std::string content) {
  Record record;
  record.name = "archive/" + std::move(name);
  record.size = static_cast<int64_t>(content.size());
  record.content = std::move(content);
  records_.push_back(std::move(record));
}

Result<void> TorchWriter::Create(const std::string& path) {
  AddSmall("data.pkl", PickleDict(tensors_));
  AddSmall("byteorder", "little");
  first_tensor_ = records_.size();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    Record record;
    record.name = fmt::format("archive/data/{}", i);
    record.tensor = i;
    record.size = *NumBytes(tensors_[i].shape, tensors_[i].dtype);
    records_.push_back(std::move(record));
  }
  AddSmall("version", "3\n");
  CKMAP_RETURN_IF_ERROR(LayOut(path));
  const int64_t end = static_cast<int64_t>(EndRecords(0, 0, 0).size());
  CKMAP_ASSIGN_OR_RETURN(file_,
                         set_.Add(path, directory_offset_ + directory_size_ + end, options_.force));
  return {};
}

Result<void> TorchWriter::LayOut(const std::string& path) {
  int64_t at = 0;
  for (Record& record : records_) {
    record.header_offset = at;
    const auto name_size = static_cast<int64_t>(record.name.size());
    constexpr int64_t kPaddingHeader = 4;
    at += kLocalSize + name_size + (Is64(record) ? kLocal64Size : 0) + kPaddingHeader;
    at = (at + kAlignment - 1) / kAlignment * kAlignment;
    record.data_offset = at;
    if (record.size > (int64_t{1} << 62) - at) {
      return Error(ErrorCode::kLimit, path + ": the tensors together exceed 2^62 bytes");
    }
    at += record.size;
    directory_size_ += static_cast<int64_t>(DirectoryEntry(record).size());
  }
  directory_offset_ = at;
  return {};
}

Result<void> TorchWriter::WriteRecord(Record& record) {
  const int fd = set_.fd(file_);
  if (record.tensor) {
    const int threads = DefaultThreads();
    CKMAP_ASSIGN_OR_RETURN(record.crc, FileCrc32(fd, record.data_offset, record.size, threads));
  } else {
    const auto bytes = std::as_bytes(std::span(record.content));
    record.crc = ExtendCrc32(0, bytes);
    CKMAP_RETURN_IF_ERROR(WriteAt(fd, record.data_offset, bytes));
  }
  const std::string header = LocalHeader(record);
  return WriteAt(fd, record.header_offset, std::as_bytes(std::span(header)));
}

Result<std::vector<WrittenFile>> TorchWriter::Commit() {
  const auto write = [&]() -> Result<void> {
    std::string directory;
    for (Record& record : records_) {
      CKMAP_RETURN_IF_ERROR(WriteRecord(record));
      directory += DirectoryEntry(record);
    }
    directory += EndRecords(records_.size(), static_cast<uint64_t>(directory_offset_),
                            static_cast<uint64_t>(directory_size_));
    return WriteAt(set_.fd(file_), directory_offset_, std::as_bytes(std::span(directory)));
  };
  std::vector<WrittenFile> files = {{set_.path(file_), set_.size(file_)}};
  if (auto status = write(); !status.ok())
    return std::move(status).error().Context(set_.path(file_));
  CKMAP_RETURN_IF_ERROR(set_.Publish({options_.force, options_.fsync}));
  return files;
}

}  // namespace

Result<std::unique_ptr<CheckpointWriter>> CreateTorch(const std::string& path,
                                                      std::vector<OutputTensor> tensors,
                                                      const WriteOptions& options) {
  if (options.max_shard_size > 0) {
    return Error(ErrorCode::kUsage,
                 path + ": torch files are written whole; write safetensors for shards");
  }
  if (options.crc) {
    return Error(ErrorCode::kUsage,
                 path + ": the checksum is MindSpore's; torch files have their own, always");
  }
  Refusals refusals;
  CheckTensors(tensors, refusals);
  for (const OutputTensor& tensor : tensors) {
    if (FindType(tensor.dtype) == nullptr) {
      refusals.Add(tensor.name, fmt::format("torch has no dtype {}", DTypeName(tensor.dtype)));
    }
  }
  CKMAP_RETURN_IF_ERROR(refusals.ToResult(path, "torch"));
  auto writer = std::make_unique<TorchWriter>(std::move(tensors), options);
  CKMAP_RETURN_IF_ERROR(writer->Create(path));
  return std::unique_ptr<CheckpointWriter>(std::move(writer));
}

}  // namespace ckmap
