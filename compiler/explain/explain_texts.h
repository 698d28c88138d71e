// The `.md` files of this folder, as texts of the program. Private to compiler/explain.
#pragma once

#include <cstddef>

namespace ckmap {

extern const char* const kExplainTexts[];
extern const size_t kExplainTextCount;

}  // namespace ckmap
