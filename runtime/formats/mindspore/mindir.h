// The parameters of a MindIR model (`.mindir`): protobuf, mind_ir.ModelProto. Its graph (field 7)
// holds the parameters (field 3), each a TensorProto
//
//     dims = 1, data_type = 2, name = 7 "<graph>:<parameter>", raw_data = 9, external_data = 12, ref_key = 13
//
// A parameter's name is ref_key, or, in older files, what follows the first ':' of its name. Models
// beyond 1 GiB keep the bytes in other files; such parameters are listed as unreadable. An
// exported graph has only the parameters that it uses, each tied one once: as a target it may lack
// some of the network's.
#pragma once

#include <memory>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/storage/byte_source.h"

namespace ckmap {

// Whether the content begins as a ModelProto: a version such as "0.1.0", and a graph soon after.
bool LooksLikeMindIr(const ByteSource& source);

Result<std::unique_ptr<Checkpoint>> OpenMindIr(std::unique_ptr<ByteSource> source);

}  // namespace ckmap
