// Which tensors of a checkpoint are one tensor.
#pragma once

#include "runtime/formats/checkpoint.h"

namespace ckmap {

// The checkpoint's manifest, where each tensor that is kept in the very bytes of an earlier one, element for element,
// is
// `tied_to` it, as in a spec. Views of other shape or strides are not ties.
Manifest ManifestWithTies(const Checkpoint& checkpoint);

}  // namespace ckmap
