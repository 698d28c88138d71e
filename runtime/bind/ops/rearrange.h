// The operation `rearrange`; its notation is read by runtime/ops/einops.h.
#pragma once

#include "runtime/bind/ops/op_call.h"

namespace ckmap {

Result<TensorValue> OpRearrange(TensorValue tensor, const OpCall& call, std::string& text);

}  // namespace ckmap
