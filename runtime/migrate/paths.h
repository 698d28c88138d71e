// Questions about paths that keep inputs and outputs apart.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

// kUsage if writing `out` could change one of `inputs`: it is one of them (also through a link), it
// lies in a folder that is an input, or it is a folder that an input lies in.
Result<void> CheckOutputApart(const std::string& out, const std::vector<std::string>& inputs);

bool PathExists(const std::string& path);

}  // namespace ckmap
