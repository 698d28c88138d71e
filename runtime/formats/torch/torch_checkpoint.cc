#include "runtime/formats/torch/torch_checkpoint.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "runtime/base/text.h"

namespace ckmap {

Result<void> TorchCheckpoint::AddPickle(const Pickle& pickle, const TorchObjects& objects,
                                        const OpenOptions& options) {
  PickleId root = pickle.root();
  if (options.root.empty()) {
    const PickleKind kind = pickle.kind(root);
    const bool holds = kind == PickleKind::kDict || kind == PickleKind::kList ||
                       kind == PickleKind::kTuple || objects.tensor(root) != nullptr ||
                       objects.parts(root) != nullptr ||
                       (kind == PickleKind::kObject &&
                        (MeaningOf(pickle.callable(root)).thing == TorchThing::kModuleClass ||
                         MeaningOf(pickle.callable(root)).thing == TorchThing::kUnknown));
    if (!holds) {
      return Error(ErrorCode::kMalformed,
                   fmt::format("the file holds one {} and no tensors", PickleKindName(kind)));
    }
  } else {
    CKMAP_ASSIGN_OR_RETURN(root, FindTorchRoot(pickle, objects, options.root));
  }
  CKMAP_ASSIGN_OR_RETURN(TorchEntries entries, FlattenTorch(pickle, root, objects));
  entries.manifest.framework = manifest_.framework;
  manifest_ = std::move(entries.manifest);
  layouts_ = std::move(entries.layouts);
  others_ = std::move(entries.others);
  if (options.skip_unknown_objects) TellUnknown(pickle);
  if (objects.attributed() > 0) {
    warnings_.push_back(
        fmt::format("{}: Python attributes are left out", Plural(objects.attributed(), "tensor")));
  }
  return {};
}

void TorchCheckpoint::TellUnknown(const Pickle& pickle) {
  constexpr size_t kShown = 8;
  std::map<std::string, int64_t> counts;
  for (PickleId id = 0; id < pickle.size(); ++id) {
    const PickleKind kind = pickle.kind(id);
    if (kind != PickleKind::kObject && kind != PickleKind::kGlobal) continue;
    const PickleGlobal& global = kind == PickleKind::kObject ? pickle.callable(id) : pickle.global(id);
    if (MeaningOf(global).thing != TorchThing::kUnknown) continue;
    counts[fmt::format("{}.{}", global.module, global.name)] += kind == PickleKind::kObject ? 1 : 0;
  }
  if (counts.empty()) return;
  std::string names;
  size_t shown = 0;
  for (const auto& [name, count] : counts) {
    if (shown++ == kShown) {
      names += fmt::format(" and {} more", counts.size() - kShown);
      break;
    }
    names += fmt::format("{}{} ({})", shown > 1 ? ", " : "", QuoteName(name), count);
  }
  AddWarning(fmt::format("objects of unknown classes were not made, nothing was executed: {}", names));
}

}  // namespace ckmap
