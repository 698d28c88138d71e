// What bind knows of the source beside its manifest.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ckmap {

// Tensors of more bytes are not asked for their values.
inline constexpr int64_t kMaxSmallTensor = 4096;

struct SourceFacts {
  // Names of the sources beside the first one; their tensors stand in the manifest as "NAME:tensor".
  std::vector<std::string> spaces = {};
  // Bytes of small tensors, by their names in the manifest: what `source_value` and `source_json` see.
  std::map<std::string, std::string, std::less<>> contents = {};
};

}  // namespace ckmap
