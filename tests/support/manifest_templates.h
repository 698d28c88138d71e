// Manifests of tests as text, a line for each kind of tensor: `layers.{0..31}.{q,k,v}.weight f32 [4096, 4096]`. A line
// without a dtype is f32.
#pragma once

#include <string_view>

#include "runtime/tensor/manifest.h"

namespace ckmap {

// A mistake in the text fails the test that reads it.
Manifest ManifestFromTemplates(std::string_view text);

}  // namespace ckmap
