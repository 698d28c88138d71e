// Running a plan backwards. A reversed plan is bound forwards, with the manifests changing places; the
// pieces are then turned round. So an inverse needs no rules of its own, and is exact by construction.
#pragma once

#include "runtime/bind/bind.h"

namespace ckmap {

// `forward`: the plan bound from what is now the target to what is now the source. Gives the plan
// from `forward.target` to `forward.source`, or issues: a tensor that the rules do not determine
// (dropped or only partly used on the way there), or that a cast has changed.
BindResult Reverse(BindResult forward);

}  // namespace ckmap
