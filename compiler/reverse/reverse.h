// A migration from right to left, as `.ckmap` text: every rule, layer, rename and parameter turned round. What a file
// uses from packs is written into the one text, so that it stands alone.
//
// The reversed *plan* (CompileOptions::reverse) needs none of this: it is bound forwards and its pieces are turned
// round. The text is for people, and for rules that are to be changed from there on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/diag/diagnostic.h"
#include "compiler/program/loader.h"
#include "compiler/source/source_map.h"

namespace ckmap {

// nullopt: something cannot be written backwards; each such place is reported (CK0308) with the reason. `program` has
// no other mistakes, and all its rules can be undone.
std::optional<std::string> ReverseText(const Program& program, const SourceMap& sources, DiagnosticSink& sink);

}  // namespace ckmap
