// What a bound plan does, told apart from how its rules say it.
#pragma once

#include <string>

#include "runtime/bind/bind.h"

namespace ckmap {

// Equal texts: the same bytes come out, the same tensors are dropped and kept, or the same mistakes are found. (Two
// plans that do the same in ways that pieces do not show may have different texts.)
std::string MeaningOf(const Result<BindResult>& bound);

}  // namespace ckmap
