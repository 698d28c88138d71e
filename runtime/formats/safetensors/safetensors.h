// safetensors files, as https://huggingface.co/docs/safetensors describes them:
//
//     u64 length of the header, little-endian | header, JSON | data
//     header: {"__metadata__": {text: text}, NAME: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}}
//
// Every file that only one reading fits is read: padding by any JSON white space, entries in any order,
// empty tensors, all 22 dtypes. Refused beyond what the reference reader refuses: a key given
// twice (at any level, however it is escaped), unknown keys in an entry, numbers that are not plain
// digits, metadata that is not text, names that TensorNameProblem refuses, more than 64 axes, an
// axis beyond 2^48. Tensors must fill the data exactly, without overlap and without gap.
//
// An I8 tensor whose name is a metadata key with the value "Int4" is MindSpore's qint4x2: DType::kI4.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/base/file.h"
#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

inline constexpr int64_t kMaxSafetensorsHeader = 100'000'000;  // bytes; a larger one is kLimit

// Whether the first bytes can be those of a safetensors file: a length below the limit, then a
// brace or white space.
bool LooksLikeSafetensors(const InputFile& file);

// Storage k is the byte range of tensor k. VerifyStorage checks MindSpore's `crc_num` where the
// metadata has one, over the whole file, once; later calls repeat its answer.
Result<std::unique_ptr<Checkpoint>> OpenSafetensors(InputFile file);

}  // namespace ckmap
