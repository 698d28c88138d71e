// What a plan asks of a target where there is none.
#pragma once

#include "plan.pb.h"
#include "runtime/bind/issue.h"

namespace ckmap {

// Says that the target is what the rules make of the source (CK1241). A warning where conditions ask for the target
// (`target_has`): it names them.
Issue NoTargetNote(const plan::Plan& plan);

}  // namespace ckmap
