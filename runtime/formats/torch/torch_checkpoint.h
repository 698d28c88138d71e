// The Checkpoint that all torch containers become. Internal to torch.
#pragma once

#include <memory>
#include <string_view>

#include "runtime/formats/storage/stored_checkpoint.h"
#include "runtime/formats/torch/torch_objects.h"
#include "runtime/formats/torch/torch_tree.h"

namespace ckmap {

class TorchCheckpoint final : public StoredCheckpoint {
 public:
  explicit TorchCheckpoint(std::string_view format) : StoredCheckpoint(format) { set_framework("torch"); }

  // The values of the pickle from the root that the options name on.
  Result<void> AddPickle(const Pickle& pickle, const TorchObjects& objects, const OpenOptions& options);

  // How the values lie in one another, what stands beside the options' root included; null for one dict of tensors.
  const std::shared_ptr<const Nesting>& nesting() const { return nesting_; }

 private:
  // A warning that names the classes of objects that were skipped.
  void TellUnknown(const Pickle& pickle, const TorchObjects& objects);

  std::shared_ptr<const Nesting> nesting_;
};

}  // namespace ckmap
