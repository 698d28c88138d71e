// What there is much of, as later libraries keep it: link and attribute messages in a fractal heap, listed by a version
// 2 B-tree. Internal to hdf5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "runtime/formats/hdf5/hdf5_file.h"

namespace ckmap {

// How the records of a tree of names hold the ID of an object.
struct Hdf5HeapIndex {
  uint8_t type = 0;       // of the tree
  size_t before = 0;      // bytes of a record before the ID
  size_t after = 0;       // and behind it
  std::string_view name;  // of the tree, for errors
};
inline constexpr Hdf5HeapIndex kHdf5LinkNames{5, 4, 0, "a tree of names"};
inline constexpr Hdf5HeapIndex kHdf5AttributeNames{8, 0, 9, "a tree of attributes"};

// Calls `visit` with each object of the fractal heap at `heap` that the tree lists. kMalformed for what does not fit
// together, or heaps with filters.
Result<void> VisitHdf5Heap(Hdf5File& file, uint64_t heap, uint64_t tree, const Hdf5HeapIndex& index,
                           const std::function<Result<void>(std::string_view)>& visit);

}  // namespace ckmap
