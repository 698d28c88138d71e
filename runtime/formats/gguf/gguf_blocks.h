// ggml's element types, and the blocks into which it quantises: their sizes, and the floats that they stand for.
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "runtime/base/file.h"
#include "runtime/formats/storage/storage_source.h"
#include "runtime/tensor/dtype.h"

namespace ckmap {

struct GgmlType {
  uint32_t id = 0;
  std::string_view name;      // "Q4_0"
  int64_t elements = 1;       // of a block; 1 where the type is not quantised
  int64_t bytes = 0;          // of a block
  DType dtype = DType::kAny;  // of types that are not quantised
  // Writes the elements of one block; nullptr where its arithmetic is not done here. Exactly the floats
  // that ggml's own reference gives.
  void (*decode)(const unsigned char* block, float* out) = nullptr;
};

// nullptr for a number that ggml does not use.
const GgmlType* FindGgmlType(uint32_t id);
// The type that holds such elements as they are; nullptr if ggml has none.
const GgmlType* FindGgmlType(DType dtype);

// The f32 elements of `blocks` blocks of a type with `decode`, in `file` from `offset` on.
std::unique_ptr<StorageSource> GgmlBlockSource(const InputFile& file, int64_t offset, const GgmlType& type,
                                               int64_t blocks);

}  // namespace ckmap
