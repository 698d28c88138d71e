// numpy's files: .npy, one array, and .npz, a zip archive of them (stored or deflated).
//
// An array of an archive is named as its member without ".npy"; one that is a file of its own, as
// the file without ".npy" (`fc.weight.npy` holds `fc.weight`). Fortran's order and big-endian
// elements are told by layout(). Records, long doubles and opaque bytes (numpy saves bfloat16 as
// such) are TensorInfo::unreadable; text, byte strings, dates and pickled objects are others().
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/base/file.h"
#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Both by content; the head is some first bytes of the file.
bool LooksLikeNpy(std::span<const std::byte> head);
// A zip archive whose first member ends in ".npy".
bool LooksLikeNpz(std::span<const std::byte> head);

// kMalformed, kLimit; errors begin with the path.
Result<std::unique_ptr<Checkpoint>> OpenNpy(InputFile file);
Result<std::unique_ptr<Checkpoint>> OpenNpz(InputFile file);

}  // namespace ckmap
