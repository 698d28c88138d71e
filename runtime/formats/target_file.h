// What an output is to be, as a file says it: its tensors, and for torch the dicts that they lie in.
#pragma once

#include <memory>
#include <string>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/selection.h"
#include "runtime/tensor/manifest.h"
#include "runtime/tensor/nesting.h"

namespace ckmap {

struct TargetFile {
  Manifest manifest;
  std::shared_ptr<const Nesting> nesting = nullptr;  // null: one dict of tensors under their names
  bool spec = false;                                 // the file holds no more than names and shapes
};

// A checkpoint or a spec; a part of it, as the options that begin with "--target-" choose it. The root of a spec is the
// dict that an output for torch has around its tensors. Errors name the path.
Result<TargetFile> ReadTargetFile(const std::string& path, const TargetOptions& options);

// How the values of a checkpoint lie in one another; null for one dict of tensors.
std::shared_ptr<const Nesting> NestingOf(const Checkpoint& checkpoint);

}  // namespace ckmap
