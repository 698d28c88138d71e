// Compiles rules to plans. The manual is in compiler/compiler.h.
#pragma once

#include "compiler/compiler.h"
