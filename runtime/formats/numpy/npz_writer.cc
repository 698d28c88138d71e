#include "runtime/formats/numpy/npz_writer.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/little_endian.h"
#include "runtime/formats/numpy/npy_header.h"
#include "runtime/formats/writer_checks.h"
#include "runtime/formats/zip/zip_file_writer.h"
#include "runtime/tensor/numpy_types.h"

namespace ckmap {
namespace {

constexpr size_t kPrefix = 10;  // of version 1
constexpr size_t kMaxMemberName = 65535 - 4;

// The header as numpy writes it, filled up so that the elements are aligned.
std::string NpyHeaderOf(const OutputTensor& tensor) {
  std::string shape;
  for (const int64_t size : tensor.shape) shape += fmt::format("{}{}", shape.empty() ? "" : ", ", size);
  if (tensor.shape.size() == 1) shape += ",";
  const char order = DTypeSize(tensor.dtype) == 1 ? '|' : '<';
  std::string text = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}", order,
                                 NumpyTypeCode(tensor.dtype), shape);
  constexpr auto kAlignment = static_cast<size_t>(kZipAlignment);
  const size_t end = (kPrefix + text.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  text.append(end - kPrefix - text.size() - 1, ' ');
  text += '\n';
  return std::string(kNpyMagic) + '\1' + '\0' + Little(text.size(), 2) + text;
}

}  // namespace

Result<std::unique_ptr<CheckpointWriter>> CreateNpz(const std::string& path, std::vector<OutputTensor> tensors,
                                                    const WriteOptions& options) {
  if (options.max_shard_size > 0) {
    return Error(ErrorCode::kUsage, path + ": .npz files are written whole; write safetensors for shards");
  }
  if (options.crc) {
    return Error(ErrorCode::kUsage, path + ": the checksum is MindSpore's; .npz files have their own, always");
  }
  Refusals refusals;
  CheckTensors(tensors, refusals);
  for (const OutputTensor& tensor : tensors) {
    if (NumpyTypeCode(tensor.dtype).empty()) {
      refusals.Add(tensor.name,
                   fmt::format("numpy has no dtype {}; cast it, or write safetensors", DTypeName(tensor.dtype)));
    }
    if (tensor.name.size() > kMaxMemberName)
      refusals.Add(tensor.name.substr(0, 60) + "…", "the name is too long for a zip member");
    if (tensor.name.empty()) refusals.Add(tensor.name, "the name is empty");
  }
  CKMAP_RETURN_IF_ERROR(refusals.ToResult(path, "npz"));
  ZipFileWriter::Parts parts;
  for (const OutputTensor& tensor : tensors) {
    parts.tensors.push_back({tensor.name + ".npy", NpyHeaderOf(tensor), *NumBytes(tensor.shape, tensor.dtype)});
  }
  std::vector<std::string> warnings;
  if (!options.metadata.empty()) warnings.emplace_back("an .npz has no place for metadata; it is left out");
  return ZipFileWriter::Create(path, std::move(parts), options, std::move(warnings));
}

}  // namespace ckmap
