// Specs may leave a size of a tensor open (-1): any size fits. That suits a side that is written, not one that is read.
#pragma once

#include <string_view>

#include "runtime/base/result.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

// An error (kMismatch) where sizes of `manifest` are open; `side` begins the message, before the first tensor's name.
Result<void> CheckSizesAreKnown(const Manifest& manifest, std::string_view side);

}  // namespace ckmap
