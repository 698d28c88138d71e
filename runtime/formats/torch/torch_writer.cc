#include "runtime/formats/torch/torch_writer.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "runtime/base/little_endian.h"
#include "runtime/base/text.h"
#include "runtime/formats/writer_checks.h"
#include "runtime/formats/zip/zip_file_writer.h"

namespace ckmap {
namespace {

constexpr size_t kBatch = 1000;  // pairs a SETITEMS, as Python writes them

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

// ---- the pickle, protocol 2

std::string PickleInt(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  if (bits < 0x100) return "K" + Little(bits, 1);
  if (bits < 0x10000) return "M" + Little(bits, 2);
  if (bits < 0x80000000) return "J" + Little(bits, 4);
  return "\x8a\x08" + Little(bits, 8);
}

std::string PickleText(std::string_view text) { return "X" + Little(text.size(), 4) + std::string(text); }

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
  std::string out = typed ? "ctorch._utils\n_rebuild_tensor_v2\n" : "ctorch._utils\n_rebuild_tensor_v3\n";
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
    out += PickleText(tensors[i].name) + PickleTensor(tensors[i], tensors[i].same_as.value_or(i));
    if (i % kBatch == kBatch - 1 || i + 1 == tensors.size()) out += "u";
  }
  return out + ".";
}

}  // namespace

Result<std::unique_ptr<CheckpointWriter>> CreateTorch(const std::string& path, std::vector<OutputTensor> tensors,
                                                      const WriteOptions& options) {
  if (options.max_shard_size > 0) {
    return Error(ErrorCode::kUsage, path + ": torch files are written whole; write safetensors for shards");
  }
  if (options.crc) {
    return Error(ErrorCode::kUsage, path + ": the checksum is MindSpore's; torch files have their own, always");
  }
  Refusals refusals;
  CheckTensors(tensors, refusals);
  for (const OutputTensor& tensor : tensors) {
    if (FindType(tensor.dtype) == nullptr) {
      refusals.Add(tensor.name, fmt::format("torch has no dtype {}", DTypeName(tensor.dtype)));
    }
  }
  CKMAP_RETURN_IF_ERROR(refusals.ToResult(path, "torch"));
  std::vector<ZipTensor> members;
  for (size_t i = 0; i < tensors.size(); ++i) {
    // Tensors of the same bytes share a storage, as torch's own tied tensors do.
    members.push_back({.member = fmt::format("archive/data/{}", i),
                       .header = "",
                       .bytes = *NumBytes(tensors[i].shape, tensors[i].dtype),
                       .same_as = tensors[i].same_as});
  }
  ZipFileWriter::Parts parts{.before = {{"archive/data.pkl", PickleDict(tensors)}, {"archive/byteorder", "little"}},
                             .tensors = std::move(members),
                             .after = {{"archive/version", "3\n"}}};
  std::vector<std::string> warnings;
  if (options.metadata.size() > options.metadata.count(std::string(kReceiptKey))) {
    warnings.emplace_back("torch files have no place for metadata; it is left out");
  }
  if (const auto receipt = options.metadata.find(std::string(kReceiptKey)); receipt != options.metadata.end()) {
    // torch reads the records that it knows, and passes over others; `extra/` is for what belongs to nobody else.
    parts.receipt = "archive/extra/" + std::string(kReceiptKey);
    parts.after.emplace_back(parts.receipt, receipt->second);
  }
  return ZipFileWriter::Create(path, std::move(parts), options, std::move(warnings));
}

}  // namespace ckmap
