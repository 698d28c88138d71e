// Version 2 B-trees: their records, whatever these are. Internal to hdf5.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "runtime/formats/hdf5/hdf5_file.h"

namespace ckmap {

struct Hdf5Tree2Kind {
  uint8_t type = 0;       // of its records
  std::string_view name;  // for errors: "a tree of names"
};

// Calls `visit` with each record of the tree at `address`, in no order. All are of one size, which must be in these
// bounds.
Result<void> VisitHdf5Tree2(Hdf5File& file, uint64_t address, const Hdf5Tree2Kind& kind, size_t least_bytes,
                            size_t most_bytes, const std::function<Result<void>(std::string_view)>& visit);

}  // namespace ckmap
