// Small changes of rules, each a mistake that somebody could have made. A good set of tests notices all of them.
#pragma once

#include <string>
#include <vector>

#include "compiler/diag/diagnostic.h"
#include "compiler/source/source_map.h"
#include "compiler/syntax/ast.h"

namespace ckmap {

struct Mutant {
  Span statement;           // the statement (or the line of a block) that is changed
  std::string change;       // "`transpose()` dropped"
  std::vector<Edit> edits;  // they do not overlap
  bool removes = false;     // the whole statement is gone
};

// In the order of the text. `use`, `migration`, `names` and tests are not changed, sizes in brackets neither: they
// only check.
std::vector<Mutant> MutantsOf(const SourceFile& source, const ast::File& file);

std::string Apply(const SourceFile& source, const std::vector<Edit>& edits);

}  // namespace ckmap
