// Groups with many members, as later libraries keep them: link messages in a fractal heap, listed by a version 2
// B-tree. Internal to hdf5.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "runtime/formats/hdf5_file.h"

namespace ckmap {

// Calls `visit` with each object of the fractal heap at `heap` that the tree of link names at `tree` lists.
// kMalformed for what does not fit together, or heaps with filters or huge objects (longer than a block).
Result<void> VisitHdf5Heap(Hdf5File& file, uint64_t heap, uint64_t tree,
                           const std::function<Result<void>(std::string_view)>& visit);

}  // namespace ckmap
