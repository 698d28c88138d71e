// GGUF versions 2 and 3, little- and big-endian. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
//
// Shapes are row-major, as everywhere (the file lists axes from the innermost). Tensors quantised to
// blocks are read as the f32 elements that ggml's reference computes from them, which a warning tells;
// those of kinds that are not decoded here are TensorInfo::unreadable. Text of the key-value part is
// metadata(), its numbers and lists are others().
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/base/file.h"
#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

bool LooksLikeGguf(std::span<const std::byte> head);

// kMalformed, kLimit; errors begin with the path.
Result<std::unique_ptr<Checkpoint>> OpenGguf(InputFile file);

}  // namespace ckmap
