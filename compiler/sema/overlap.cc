#include "compiler/sema/overlap.h"

namespace ckmap {

void CheckOverlaps(const RuleSet&, const Variables&, DiagnosticSink&) {}

}  // namespace ckmap
