// `test` blocks: their tensors and values are checked without running anything.
#pragma once

#include <optional>

#include "compiler/sema/expr.h"
#include "compiler/sema/test_case.h"
#include "compiler/syntax/ast.h"

namespace ckmap {

// nullopt if something in it was reported.
std::optional<TestCase> BuildTest(const ast::TestBlock& test, size_t unit, VariableTable& variables,
                                  DiagnosticSink& sink);

}  // namespace ckmap
