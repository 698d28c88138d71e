#include "runtime/plan/op_rows.h"

namespace ckmap {

std::span<const OpSpec> ComputedOps() { return {}; }

}  // namespace ckmap
