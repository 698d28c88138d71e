// A TensorProto of ONNX, and where its bytes are. Internal to onnx.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/formats/onnx/onnx_numbers.h"
#include "runtime/formats/storage/stored_checkpoint.h"
#include "runtime/formats/wire/wire_reader.h"

namespace ckmap {

inline constexpr int64_t kMaxOnnxText = int64_t{1} << 16;

struct OnnxTensor {
  std::string name;
  Shape shape;
  uint64_t data_type = 0;
  std::optional<WireField> raw;
  uint32_t numbers = 0;  // the field that holds them, 0: none
  bool external = false;
  std::map<std::string, std::string> external_data;  // location, offset, length
  int64_t begin = 0;                                 // of the message
  int64_t end = 0;
};

// Adds an axis; kMalformed if it is none, or there are too many.
Result<void> AddOnnxDim(Shape& shape, uint64_t size);
// The element type; nullopt where there is none here (text, 4-bit).
std::optional<DType> FindOnnxType(uint64_t data_type);

class OnnxTensorReader {
 public:
  OnnxTensorReader(const ByteSource& source, StoredCheckpoint& checkpoint)
      : source_(source),
        checkpoint_(checkpoint),
        reader_(source),
        folder_(std::filesystem::path(source.path()).parent_path()) {
    if (folder_.empty()) folder_ = ".";
  }

  Result<OnnxTensor> Read(const WireField& message);

  // Adds it under a name. kMalformed if it cannot be, or the name is taken.
  Result<void> Add(const OnnxTensor& tensor, std::string name, bool optional);

 private:
  Result<void> ReadDims(const WireField& field, OnnxTensor& tensor);
  Result<void> ReadNumbers(const WireField& field, OnnxTensor& tensor);
  Result<void> ReadExternal(const WireField& field, OnnxTensor& tensor);
  Result<void> CheckPacked(const OnnxTensor& tensor, int64_t bytes);
  Result<std::unique_ptr<StorageSource>> Open(const OnnxTensor& tensor, DType dtype, int64_t bytes,
                                              std::string& unreadable);
  Result<std::unique_ptr<StorageSource>> OpenNumbers(const OnnxTensor& tensor, DType dtype, int64_t bytes);
  Result<std::unique_ptr<StorageSource>> OpenExternal(const OnnxTensor& tensor, int64_t bytes, std::string& unreadable);

  const ByteSource& source_;
  StoredCheckpoint& checkpoint_;
  WireReader reader_;
  std::filesystem::path folder_;
  std::map<std::string, const InputFile*> files_;  // of external data
};

}  // namespace ckmap
