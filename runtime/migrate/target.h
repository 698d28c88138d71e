// What a migration leads to: a checkpoint, a spec, or the network that an installed pack describes.
#pragma once

#include <string>

#include "runtime/base/result.h"
#include "runtime/bind/bind.h"
#include "runtime/formats/selection.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

// `name` is a path, or where there is no such file PACK or PACK/MIGRATION: the network that its rules give for `source`
// (runtime/detect/described_network.h). kMismatch if the pack cannot tell it of this source.
Result<Manifest> FindTarget(const std::string& name, const TargetOptions& options, const Manifest& source,
                            const BindOptions& bind);

}  // namespace ckmap
