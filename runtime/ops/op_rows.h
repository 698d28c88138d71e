// The rows of the table of operations, by kind. Only op_table.cc includes this: all others see one table.
#pragma once

#include "runtime/ops/op_table.h"

namespace ckmap {

std::span<const OpSpec> StructuralOps();
std::span<const OpSpec> ElementwiseOps();
std::span<const OpSpec> ComputedOps();

}  // namespace ckmap
