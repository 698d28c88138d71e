// The header of a safetensors file, parsed and checked. Knows nothing of files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

struct ByteRange {
  int64_t begin = 0;
  int64_t end = 0;
};

struct SafetensorsHeader {
  Manifest manifest;              // in the order of the header; storage = index
  std::vector<ByteRange> ranges;  // one per tensor, from the start of the data
  std::map<std::string, std::string> metadata;
  bool leading_space = false;  // the first byte is not the brace that the format asks for
};

// `text` is the header (it is padded here, hence by value), `data_bytes` what follows it in the file.
Result<SafetensorsHeader> ParseSafetensorsHeader(std::string text, int64_t data_bytes);

}  // namespace ckmap
