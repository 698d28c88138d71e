// Writes a spec that ParseSpec reads.
#pragma once

#include <string>

#include "runtime/tensor/manifest.h"

namespace ckmap {

// Names, dtypes, shapes, what is optional and what is tied, in the manifest's order; as YAML, one tensor a line, or as
// JSON.
std::string SpecYaml(const Manifest& manifest);
std::string SpecJson(const Manifest& manifest);

}  // namespace ckmap
