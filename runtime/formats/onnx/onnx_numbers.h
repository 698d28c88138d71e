// Elements of an ONNX tensor that stand in a field of numbers (float_data, int32_data, …), packed or one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/formats/storage/byte_source.h"
#include "runtime/formats/storage/storage_source.h"
#include "runtime/formats/wire/wire_reader.h"
#include "runtime/tensor/dtype.h"

namespace ckmap {

// How a field's numbers are elements of `dtype`.
struct OnnxNumbers {
  int64_t begin = 0;  // the TensorProto in the source
  int64_t end = 0;
  uint32_t field = 0;
  WireType wire = WireType::kVarint;  // of one number: varint, or fixed 32 or 64
  DType dtype = DType::kF32;
};

// All numbers of the field as a storage of elements, decoded as they are read. kMalformed if they are not
// `elements` in number, or one is no value of the dtype. The byte source must outlive the storage.
Result<std::unique_ptr<StorageSource>> OpenOnnxNumbers(const ByteSource& source, const OnnxNumbers& numbers,
                                                       int64_t elements);

}  // namespace ckmap
