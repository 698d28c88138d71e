// Opens a path by the reader of one format.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "runtime/base/file.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

using OpenedCheckpoint = Result<std::unique_ptr<Checkpoint>>;

inline OpenedCheckpoint OpenPath(OpenedCheckpoint (*open)(InputFile), const std::string& path) {
  CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  return open(std::move(file));
}

inline OpenedCheckpoint OpenPath(OpenedCheckpoint (*open)(InputFile, const OpenOptions&), const std::string& path,
                                 const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  return open(std::move(file), options);
}

}  // namespace ckmap
