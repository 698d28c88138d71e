// A tensor that lies in boxes over several storages, as the storage of one dense tensor.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/storage/storage_source.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

// The box [offsets, offsets + sizes) of the whole, dense and row-major in its source.
struct SourcePiece {
  Shape offsets;
  Shape sizes;
  int64_t source_offset = 0;  // bytes, to the box's first element
  const StorageSource* source = nullptr;
};

// Stated limit: checking that pieces do not overlap takes its square.
inline constexpr size_t kMaxSourcePieces = 4096;

// Row-major bytes of a tensor of `shape`. kMalformed unless the pieces tile it exactly. The sources
// must outlive the result.
Result<std::unique_ptr<StorageSource>> PiecedSource(const Shape& shape, int64_t element_size,
                                                    std::vector<SourcePiece> pieces);

}  // namespace ckmap
