// ANTLR's parse tree → ast::File. Private to compiler/syntax.
#pragma once

#include <antlr4-runtime.h>

#include "CkmapParser.h"
#include "compiler/diag/diagnostic.h"
#include "compiler/source/source_map.h"
#include "compiler/syntax/ast.h"

namespace ckmap {

// Statements that could not be read (their context holds an exception) are left out; for all others
// the tree is complete, which the builder relies on. Reports what the grammar lets pass: misplaced
// statements, operations on the right, repeated clauses, mistakes inside of literals.
ast::File BuildFile(grammar::CkmapParser::FileContext& file, antlr4::BufferedTokenStream& tokens,
                    const SourceFile& source, FileId id, DiagnosticSink& sink);

}  // namespace ckmap
