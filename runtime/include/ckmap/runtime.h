// Opens checkpoints, binds plans to them, converts. The manual is in runtime/runtime.h.
#pragma once

#include "runtime/runtime.h"
