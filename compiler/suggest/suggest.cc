#include "compiler/suggest/suggest.h"

#include "compiler/suggest/draft.h"

namespace ckmap {

Result<Suggestion> Suggest(const Manifest& source, const Manifest& target, const SuggestOptions& options) {
  return suggest::Draft(source, target, options).Write();
}

}  // namespace ckmap
