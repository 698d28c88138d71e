#include "compiler/suggest/suggest.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/suggest/draft.h"
#include "compiler/suggest/packs.h"
#include "runtime/base/text.h"
#include "runtime/tensor/open_sizes.h"

namespace ckmap {
namespace {

Suggestion UsePack(const suggest::FittingPack& pack, const Manifest& target, const SuggestOptions& options) {
  Suggestion suggestion;
  suggestion.decisions = pack.decisions.size();
  suggestion.targets = static_cast<int64_t>(target.size());
  for (const BoundTensor& tensor : pack.plan.tensors)
    (pack.decisions.empty() ? suggestion.certain : suggestion.open).push_back(tensor.name);
  suggestion.text = fmt::format(
      "ckmap 1;\n\n/// By `ckmapc suggest`: this pack takes {} to {} completely.\nmigration suggested from pytorch to "
      "mindspore;\n\nuse {};\n",
      EscapeText(options.source_name), EscapeText(options.target_name), pack.name);
  for (size_t i = 0; i < pack.decisions.size(); ++i)
    suggestion.text += fmt::format("{}decide \"{}\" for \"**\";\n", i == 0 ? "\n" : "", pack.decisions[i]);
  return suggestion;
}

}  // namespace

Result<Suggestion> Suggest(const Manifest& source, const Manifest& target, const SuggestOptions& options) {
  CKMAP_RETURN_IF_ERROR(CheckSizesAreKnown(source, "source"));
  std::unique_ptr<suggest::Values> values;
  if (options.source != nullptr && options.target != nullptr) {
    std::vector<suggest::ValuePair> pairs = {{options.source, options.target}};
    for (const auto& [from, to] : options.further) pairs.push_back({from, to});
    CKMAP_ASSIGN_OR_RETURN(values, suggest::Values::Read(std::move(pairs)));
  }
  CKMAP_ASSIGN_OR_RETURN(Suggestion draft, suggest::Draft(source, target, options, values.get()).Write());
  const bool finished = draft.open.empty() && draft.decisions == 0;
  if (finished || !options.packs) return draft;
  const suggest::FittingPacks search = suggest::FindFittingPack(source, target, options);
  for (const suggest::FittingPack& pack : search.fitting) {
    // Values that a pack does not make speak against it.
    const bool wrong = values != nullptr &&
                       std::any_of(pack.plan.tensors.begin(), pack.plan.tensors.end(), [&](const BoundTensor& tensor) {
                         return values->Makes(pack.plan, tensor) == false;
                       });
    if (!wrong) return UsePack(pack, target, options);
  }
  if (!search.needing.empty()) {
    draft.text +=
        fmt::format("\n# {} may fit, and {} parameters: try again with --config config.json or -D name=value.\n",
                    fmt::join(search.needing, ", "), search.needing.size() == 1 ? "needs" : "need");
  }
  return draft;
}

}  // namespace ckmap
