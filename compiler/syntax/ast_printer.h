// The syntax tree as an S-expression: for tests, and for comparing two texts by what they say.
#pragma once

#include <string>

#include "compiler/syntax/ast.h"

namespace ckmap {

// One statement a line, blocks indented; no spans. Equal trees print equally, and trees that differ in
// anything but spans print differently. A file:
//   (edition 1)
//   (rule (from "a.{i:int}.w" [O I]) | permute(1 0) <-> (to "b.{i}.w"))
std::string PrintAst(const ast::File& file);

}  // namespace ckmap
