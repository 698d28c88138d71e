#include "runtime/formats/torch_checkpoint.h"

#include <fmt/format.h>

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
                        MeaningOf(pickle.callable(root)).thing == TorchThing::kModuleClass);
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
  if (objects.attributed() > 0) {
    warnings_.push_back(
        fmt::format("{}: Python attributes are left out", Plural(objects.attributed(), "tensor")));
  }
  return {};
}

}  // namespace ckmap
