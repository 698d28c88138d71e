// ONNX models: the tensors that a graph brings along. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
//
//   initializers        by their names: raw_data, numbers in typed fields, and external data in files of the
//                       model's folder (a missing file makes its tensors TensorInfo::unreadable)
//   Constant nodes      their tensor `value`, by the name of the node's output; optional where the model is a target
//   graphs in nodes     (If, Loop): OUTPUT/ATTRIBUTE/NAME, with the node's first output
//   inputs              only of models without any initializer, as shapes without bytes (exported without parameters)
//   sparse, text, 4-bit listed as unreadable
// Functions and training information are passed over, with a warning.
#pragma once

#include <memory>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/storage/byte_source.h"

namespace ckmap {

// By content: a version number first, and a graph.
bool LooksLikeOnnx(const ByteSource& source);

// kMalformed, kLimit; errors begin with the path.
Result<std::unique_ptr<Checkpoint>> OpenOnnx(std::unique_ptr<ByteSource> source);

}  // namespace ckmap
