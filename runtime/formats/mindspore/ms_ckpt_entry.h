// One entry of a `.ckpt`, as it stands in the file: the wire format taken apart, nothing judged that
// takes more than one entry to see.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/storage/source_checkpoint.h"
#include "runtime/formats/wire/wire_reader.h"

namespace ckmap {

// TensorProto.
struct CkptTensor {
  std::vector<int64_t> dims;
  std::string type;
  SourcePart content;  // where the bytes lie; no bytes if the field is missing
};

// Checkpoint.Value.
struct CkptEntry {
  int64_t position = 0;  // of the entry in the source, for messages
  std::string tag;
  std::vector<CkptTensor> tensors;  // one, or the three of a map parameter
  bool is_map = false;
};

// `field` is field 1 of the file. kMalformed for whatever breaks the schema: a known field of another wire
// type or given twice, a missing tag, tensor or type, a name that is refused, more than 64 dims, a dim
// outside 0 … 2^31 - 1.
Result<CkptEntry> ReadCkptEntry(WireReader& reader, const WireField& field);

}  // namespace ckmap
