// Text → syntax tree. The only door to the grammar; nothing outside compiler/syntax/ knows ANTLR.
#pragma once

#include "compiler/diag/diagnostic.h"
#include "compiler/source/source_map.h"
#include "compiler/syntax/ast.h"

namespace ckmap {

// Never fails: what cannot be read is reported to `sink` and left out, or is ast::Invalid.
// Bounded: nesting, number of reported errors and size of the file have limits of their own.
ast::File Parse(const SourceFile& file, FileId id, DiagnosticSink& sink);

}  // namespace ckmap
