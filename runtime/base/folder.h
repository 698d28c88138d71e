// What lies in a folder.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

// The names in a folder, sorted, without `.` and `..`. std::filesystem's iterators would do, but GCC 12's end the
// program where memory runs out while they go on to the next name.
Result<std::vector<std::string>> ListFolder(const std::string& folder);

}  // namespace ckmap
