#include "runtime/formats/gguf/gguf_writer.h"

#include <span>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/little_endian.h"
#include "runtime/base/output_file.h"
#include "runtime/formats/gguf/gguf_blocks.h"
#include "runtime/formats/writer_checks.h"

namespace ckmap {
namespace {

constexpr int64_t kAlignment = 32;  // what readers assume where `general.alignment` is absent
constexpr size_t kGgmlAxes = 4;
constexpr size_t kMaxGgmlName = 63;
constexpr uint32_t kTextValue = 8;
constexpr int64_t kMaxTotal = int64_t{1} << 62;

std::string Text(const std::string& text) { return Little(text.size(), 8) + text; }

int64_t Aligned(int64_t at) { return (at + kAlignment - 1) / kAlignment * kAlignment; }

class GgufWriter final : public CheckpointWriter {
 public:
  GgufWriter(std::vector<OutputTensor> tensors, const WriteOptions& options)
      : tensors_(std::move(tensors)), options_(options) {
    std::vector<std::string> long_names;
    std::vector<std::string> empty;
    for (const OutputTensor& tensor : tensors_) {
      if (tensor.name.size() > kMaxGgmlName) long_names.push_back(tensor.name);
      if (*NumElements(tensor.shape) == 0) empty.push_back(tensor.name);
    }
    if (!long_names.empty()) {
      warnings_.push_back(
          fmt::format("llama.cpp takes no names of more than {} bytes: {}", kMaxGgmlName, NameSome(long_names)));
    }
    if (!empty.empty()) warnings_.push_back("llama.cpp takes no empty tensors: " + NameSome(empty));
  }

  Result<void> Create(const std::string& path) {
    std::vector<int64_t> places;
    int64_t end = 0;  // of the data
    for (const OutputTensor& tensor : tensors_) {
      const int64_t bytes = *NumBytes(tensor.shape, tensor.dtype);
      places.push_back(end);
      if (bytes > kMaxTotal - end - kAlignment)
        return Error(ErrorCode::kLimit, path + ": the tensors together exceed 2^62 bytes");
      end = Aligned(end + bytes);
    }
    header_ = Header(places);
    const int64_t data = Aligned(static_cast<int64_t>(header_.size()));
    for (const int64_t place : places) offsets_.push_back(data + place);
    CKMAP_ASSIGN_OR_RETURN(file_, set_.Add(path, tensors_.empty() ? data : data + end, options_.force));
    return {};
  }

  std::vector<FileExtent> extents(size_t tensor) const override {
    const int64_t bytes = *NumBytes(tensors_[tensor].shape, tensors_[tensor].dtype);
    if (bytes == 0) return {};
    return {{set_.fd(file_), offsets_[tensor], bytes}};
  }
  const std::string& path(size_t /*tensor*/) const override { return set_.path(file_); }
  int64_t total_bytes() const override { return set_.size(file_); }

  void ReplaceReceipt(std::string receipt) override {
    const std::string& present = options_.metadata.at(std::string(kReceiptKey));
    const size_t at = header_.find(present);
    CKMAP_CHECK(present.size() == receipt.size() && at != std::string::npos);
    header_.replace(at, receipt.size(), receipt);
  }
  Result<std::vector<WrittenFile>> Commit() override {
    std::vector<WrittenFile> files = {{set_.path(file_), set_.size(file_)}};
    if (auto written = WriteAt(set_.fd(file_), 0, std::as_bytes(std::span(header_))); !written) {
      return std::move(written).error().Context(set_.path(file_));
    }
    CKMAP_RETURN_IF_ERROR(set_.Publish({options_.force, options_.fsync}));
    return files;
  }

 private:
  std::string Header(const std::vector<int64_t>& places) const {
    std::string out = "GGUF" + Little(3, 4) + Little(tensors_.size(), 8) + Little(options_.metadata.size(), 8);
    for (const auto& [key, value] : options_.metadata) out += Text(key) + Little(kTextValue, 4) + Text(value);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const OutputTensor& tensor = tensors_[i];
      out += Text(tensor.name) + Little(tensor.shape.size(), 4);
      for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
        out += Little(static_cast<uint64_t>(*size), 8);
      out += Little(FindGgmlType(tensor.dtype)->id, 4) + Little(static_cast<uint64_t>(places[i]), 8);
    }
    return out;
  }

  std::vector<OutputTensor> tensors_;
  WriteOptions options_;
  std::string header_;
  std::vector<int64_t> offsets_;
  size_t file_ = 0;
};

}  // namespace

Result<std::unique_ptr<CheckpointWriter>> CreateGguf(const std::string& path, std::vector<OutputTensor> tensors,
                                                     const WriteOptions& options) {
  if (options.max_shard_size > 0) {
    return Error(ErrorCode::kUsage,
                 path + ": .gguf files are written whole; split them with gguf-split, or write safetensors");
  }
  if (options.crc) return Error(ErrorCode::kUsage, path + ": the checksum is MindSpore's; a .gguf has none");
  Refusals refusals;
  CheckTensors(tensors, refusals);
  for (const OutputTensor& tensor : tensors) {
    if (FindGgmlType(tensor.dtype) == nullptr) {
      refusals.Add(tensor.name,
                   fmt::format("ggml has no dtype {}; cast it, or write safetensors", DTypeName(tensor.dtype)));
    }
    if (tensor.shape.size() > kGgmlAxes) {
      refusals.Add(tensor.name, fmt::format("has {} axes, ggml knows {}", tensor.shape.size(), kGgmlAxes));
    }
    if (tensor.name.empty()) refusals.Add(tensor.name, "the name is empty");
  }
  CKMAP_RETURN_IF_ERROR(refusals.ToResult(path, "gguf"));
  auto writer = std::make_unique<GgufWriter>(std::move(tensors), options);
  CKMAP_RETURN_IF_ERROR(writer->Create(path));
  return std::unique_ptr<CheckpointWriter>(std::move(writer));
}

}  // namespace ckmap
