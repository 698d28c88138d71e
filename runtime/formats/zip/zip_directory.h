// The central directory of a ZIP archive and its agreement with the local headers. Internal to
// zip_archive, which states the rules.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/result.h"
#include "runtime/formats/zip/zip_archive.h"

namespace ckmap {

// The members of the archive that fills [begin, begin + length) of `file`, in directory order, with
// offsets into the file. Reads the directory and the local headers, no data.
Result<std::vector<ZipMember>> ReadZipDirectory(const InputFile& file, int64_t begin, int64_t length, ZipNames names);

}  // namespace ckmap
