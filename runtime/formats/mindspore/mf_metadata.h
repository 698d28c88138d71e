// metadata.json of MindFormers' "Checkpoint 2.0": how the tensors of a parallel run are cut over its files.
//
// Source of the format: mindformers 2.1.0, checkpoint/metadata.py (save_metadata, load_metadata) and
// checkpoint/sharded_tensor.py. A chunk's `global_offset` is one number: that of the slice, row-major in the grid
// `axis_fragmentations`. A tensor axis is cut by the axes of the device mesh that `layout.tensor_map` names, counted
// from the last one (0), the first named outermost.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/tensor/dtype.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

// One stored copy of a slice.
struct MfStored {
  std::string file;  // a plain relative path
  int64_t rank = 0;  // that wrote it
};

struct MfTensor {
  std::string name;
  DType dtype = DType::kAny;
  Shape global_shape;
  Shape local_shape;                          // of every slice
  std::vector<int64_t> fragments;             // parts for each axis; their product is the number of slices
  std::vector<std::vector<MfStored>> slices;  // by the number of the slice; at least one copy each

  // Where slice `number` begins in the whole.
  Shape Offsets(int64_t number) const;
};

// Stated limits.
inline constexpr int64_t kMaxMfRanks = int64_t{1} << 20;
inline constexpr int64_t kMaxMfMetadata = int64_t{1} << 30;  // bytes of metadata.json

// The tensors in the order of the file. kMalformed, with all mistakes at once, unless every description is consistent
// in itself and with its layout, every slice is stored, and nothing else is. MindFormers' own loader reads some of what
// is refused here and takes wrong or no values from it.
Result<std::vector<MfTensor>> ParseMfMetadata(std::string_view text);

// The name of a dtype in metadata.json; empty for those that it cannot name.
std::string_view MfDTypeName(DType dtype);

// Python's repr of (name, (number,)), the keys of `storage_data`. False for any other text.
bool ParseMfStorageKey(std::string_view key, std::string& name, int64_t& number);

}  // namespace ckmap
