// MindSpore's `.ckpt`: protobuf messages of the schema
//
//     Checkpoint      { repeated Value value = 1; }
//     Checkpoint.Value{ required string tag = 1; oneof value { TensorProto tensor = 2; MapTensorProto maptensor = 3; } }
//     TensorProto     { repeated int64 dims = 1; required string tensor_type = 2; required bytes tensor_content = 3; }
//     MapTensorProto  { repeated TensorProto tensor = 1; }
//
// back to back, so that a file of any size is one long Checkpoint. A tensor may be cut into several entries
// that follow each other, each with the same tag, type and full dims. There is no header; an
// optional trailer of 17 bytes, "crc_num" and a big-endian number, holds the CRC-32 of all before it.
//
// Only the heads of entries are read when a file is opened; contents stay on disk. What becomes what:
// - dims [] and [0] with one element are scalars; [0] with none is unreadable, as it means both () and (0,).
// - BFloat16 with four bytes an element is float32 of which the upper halves count (offset 2, stride 4).
// - Type "str" (UTF-32) becomes an OtherEntry, and so does "random_op", the state of random operators.
// - A map parameter `t` is the tensors `t#key`, `t#value` and `t#status`.
// - A suffix ".__param_key__<number>" of a tag is cut off, as MindSpore does (at the first, and whatever stands for the
// number). Refused where MindSpore reads on: contents that do not have the length that dims and type say, a
// tag that comes again, entries without a tag, type or tensor, dims beyond 2^31 - 1 or 64 of them.
#pragma once

#include <memory>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/storage/byte_source.h"

namespace ckmap {

// Whether the content begins as one: a message of field 1 that itself begins with a field.
bool LooksLikeMsCkpt(const ByteSource& source);

// Whether it begins as the strategy file of a parallel run, which carries the same ending.
bool LooksLikeMsStrategy(const ByteSource& source);

// VerifyStorage checks the CRC of the trailer where there is one (over the whole file, once).
Result<std::unique_ptr<Checkpoint>> OpenMsCkpt(std::unique_ptr<ByteSource> source);

}  // namespace ckmap
