// Files that are no checkpoint for ckmap and hold one, or that another framework reads: what they are, and the command
// that makes of them what ckmap reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/formats/storage/byte_source.h"

namespace ckmap {

// "is a gzip file; unpack it: gunzip -k w.pt.gz", or nullopt. `head` is the first bytes of the source.
std::optional<std::string> DescribeForeignFile(const ByteSource& source, std::string_view head);

// The same for folders: TensorFlow's SavedModel and checkpoints, orbax.
std::optional<std::string> DescribeForeignFolder(const std::string& path);

}  // namespace ckmap
