#include "runtime/formats/writer.h"

#include <algorithm>

#include "runtime/base/file.h"
#include "runtime/formats/ms_ckpt_writer.h"
#include "runtime/formats/safetensors_writer.h"
#include "runtime/formats/torch_writer.h"

namespace ckmap {

Result<void> CheckpointWriter::Write(size_t tensor, int64_t offset,
                                     std::span<const std::byte> data) {
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

Result<std::unique_ptr<CheckpointWriter>> CreateCheckpoint(const std::string& path,
                                                           OutputFormat format,
                                                           std::vector<OutputTensor> tensors,
                                                           const WriteOptions& options) {
  switch (format) {
    case OutputFormat::kSafetensors:
      return CreateSafetensors(path, std::move(tensors), options);
    case OutputFormat::kMindSporeCkpt:
      return CreateMindSporeCkpt(path, std::move(tensors), options);
    case OutputFormat::kTorch:
      return CreateTorch(path, std::move(tensors), options);
  }
  CKMAP_CHECK(false);
}

std::optional<OutputFormat> OutputFormatFromPath(std::string_view path) {
  if (path.ends_with(".safetensors")) return OutputFormat::kSafetensors;
  if (path.ends_with(".ckpt")) return OutputFormat::kMindSporeCkpt;
  if (path.ends_with(".pt") || path.ends_with(".pth") || path.ends_with(".bin")) {
    return OutputFormat::kTorch;
  }
  return std::nullopt;
}

std::optional<OutputFormat> ParseOutputFormat(std::string_view name) {
  if (name == "safetensors") return OutputFormat::kSafetensors;
  if (name == "ckpt") return OutputFormat::kMindSporeCkpt;
  if (name == "torch") return OutputFormat::kTorch;
  return std::nullopt;
}

}  // namespace ckmap
