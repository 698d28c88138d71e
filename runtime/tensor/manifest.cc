#include "runtime/tensor/manifest.h"

namespace ckmap {

bool Manifest::Add(TensorInfo tensor) {
  if (!index_.emplace(tensor.name, tensors_.size()).second) return false;
  tensors_.push_back(std::move(tensor));
  return true;
}

std::optional<size_t> Manifest::Find(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

}  // namespace ckmap
