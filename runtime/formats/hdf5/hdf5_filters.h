// What datasets were put through before they were written, undone: deflate, shuffle, fletcher32. Internal to hdf5.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/formats/hdf5/hdf5_chunks.h"

namespace ckmap {

// The plain bytes of a chunk, exactly `plain` of them; filters whose bit is set in `skipped` were not applied.
Result<std::string> UndoHdf5Filters(const std::vector<Hdf5Filter>& filters, uint32_t skipped, std::string bytes,
                                    int64_t plain);

}  // namespace ckmap
