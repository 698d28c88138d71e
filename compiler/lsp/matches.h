// Which tensors of the given manifests a place of the rules is about.
#pragma once

#include <string>
#include <vector>

#include "compiler/lsp/analysis.h"

namespace ckmap::lsp {

// Markdown about the pattern or the rule at a byte of the file; "" if no manifest says anything about it.
std::string MatchesMarkdown(const Analysis& analysis, uint32_t offset);

// The values that a capture takes in the source, in order, cut where there are many: "0..31", "`q`, `k`, `v`".
std::string CaptureValues(const Analysis& analysis, const Symbol& capture);

}  // namespace ckmap::lsp
