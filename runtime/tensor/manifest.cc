#include "runtime/tensor/manifest.h"

#include <functional>

#include "runtime/base/check.h"

namespace ckmap {
namespace {

uint32_t HashName(std::string_view name) {
  const uint64_t hash = std::hash<std::string_view>{}(name);
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

}  // namespace

// The slot that holds the name, or the free one in which it would stand.
size_t Manifest::Slot(std::string_view name, uint32_t hash) const {
  const size_t mask = index_.size() - 1;
  for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    const Entry& entry = index_[slot];
    if (entry.index == kFree || (entry.hash == hash && tensors_[entry.index].name == name)) return slot;
  }
}

void Manifest::Grow() {
  std::vector<Entry> old(index_.empty() ? 16 : index_.size() * 2);
  old.swap(index_);
  const size_t mask = index_.size() - 1;
  for (const Entry& entry : old) {
    if (entry.index == kFree) continue;
    size_t slot = entry.hash & mask;
    while (index_[slot].index != kFree) slot = (slot + 1) & mask;
    index_[slot] = entry;
  }
}

bool Manifest::Add(TensorInfo tensor) {
  CKMAP_CHECK(tensors_.size() < kFree);
  if (tensors_.size() * 2 >= index_.size()) Grow();
  const uint32_t hash = HashName(tensor.name);
  Entry& entry = index_[Slot(tensor.name, hash)];
  if (entry.index != kFree) return false;
  tensors_.push_back(std::move(tensor));
  entry = {hash, static_cast<uint32_t>(tensors_.size() - 1)};
  return true;
}

std::optional<size_t> Manifest::Find(std::string_view name) const {
  if (index_.empty()) return std::nullopt;
  const Entry& entry = index_[Slot(name, HashName(name))];
  if (entry.index == kFree) return std::nullopt;
  return entry.index;
}

std::optional<size_t> Manifest::Find(std::string_view name, size_t likely) const {
  if (likely < tensors_.size() && tensors_[likely].name == name) return likely;
  return Find(name);
}

}  // namespace ckmap
