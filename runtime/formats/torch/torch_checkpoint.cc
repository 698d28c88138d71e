#include "runtime/formats/torch/torch_checkpoint.h"

#include <fmt/format.h>

#include <map>
#include <utility>
#include <vector>

#include "runtime/base/text.h"
#include "runtime/formats/torch/torch.h"

namespace ckmap {

namespace {

// "`a.B` (1), `c.D` (2) and 3 more"
std::string NamesWithCounts(const std::map<std::string, int64_t>& counts) {
  constexpr size_t kShown = 8;
  std::string names;
  size_t shown = 0;
  for (const auto& [name, count] : counts) {
    if (shown++ == kShown) return names + fmt::format(" and {} more", counts.size() - kShown);
    names += fmt::format("{}{} ({})", shown > 1 ? ", " : "", QuoteName(name), count);
  }
  return names;
}

}  // namespace

std::shared_ptr<const Nesting> TorchNesting(const Checkpoint& checkpoint) {
  const auto* const torch = dynamic_cast<const TorchCheckpoint*>(&checkpoint);
  return torch == nullptr ? nullptr : torch->nesting();
}

Result<void> TorchCheckpoint::AddPickle(const Pickle& pickle, const TorchObjects& objects, const OpenOptions& options) {
  PickleId root = pickle.root();
  if (options.root.empty()) {
    const PickleKind kind = pickle.kind(root);
    const bool holds = kind == PickleKind::kDict || kind == PickleKind::kList || kind == PickleKind::kTuple ||
                       objects.tensor(root) != nullptr || objects.parts(root) != nullptr ||
                       (kind == PickleKind::kObject &&
                        (MeaningOf(pickle.callable(root)).thing == TorchThing::kModuleClass || objects.opaque(root) ||
                         MeaningOf(pickle.callable(root)).thing == TorchThing::kUnknown));
    if (!holds) {
      return Error(ErrorCode::kMalformed, fmt::format("the file holds one {} and no tensors", PickleKindName(kind)));
    }
  } else {
    CKMAP_ASSIGN_OR_RETURN(root, FindTorchRoot(pickle, objects, options.root));
  }
  CKMAP_ASSIGN_OR_RETURN(TorchEntries entries, FlattenTorch(pickle, root, objects));
  nesting_ = std::move(entries.nesting);
  if (!options.root.empty()) {
    auto whole = FlattenTorch(pickle, pickle.root(), objects, {root, options.root});
    std::vector<std::string> names;
    for (const TensorInfo& tensor : entries.manifest.tensors()) names.push_back(tensor.name);
    nesting_ = whole && whole->nesting != nullptr ? std::move(whole->nesting) : NestingOf(names, options.root);
  }
  entries.manifest.framework = manifest_.framework;
  manifest_ = std::move(entries.manifest);
  layouts_ = std::move(entries.layouts);
  others_ = std::move(entries.others);
  if (options.skip_unknown_objects) TellUnknown(pickle, objects);
  if (!objects.subclasses().empty()) {
    AddWarning(fmt::format("tensors of classes of their own are read as plain ones: {}",
                           NamesWithCounts(objects.subclasses())));
  }
  if (objects.attributed() > 0) {
    warnings_.push_back(fmt::format("{}: Python attributes are left out", Plural(objects.attributed(), "tensor")));
  }
  return {};
}

void TorchCheckpoint::TellUnknown(const Pickle& pickle, const TorchObjects& objects) {
  std::map<std::string, int64_t> counts;
  for (PickleId id = 0; id < pickle.size(); ++id) {
    const PickleKind kind = pickle.kind(id);
    if (kind != PickleKind::kObject && kind != PickleKind::kGlobal) continue;
    const PickleGlobal& global = kind == PickleKind::kObject ? pickle.callable(id) : pickle.global(id);
    if (MeaningOf(global).thing != TorchThing::kUnknown) continue;
    std::string name = fmt::format("{}.{}", global.module, global.name);
    if (kind == PickleKind::kGlobal && objects.subclasses().contains(name)) continue;
    counts[std::move(name)] += kind == PickleKind::kObject ? 1 : 0;
  }
  if (counts.empty()) return;
  AddWarning(
      fmt::format("objects of unknown classes were not made, nothing was executed: {}", NamesWithCounts(counts)));
}

}  // namespace ckmap
