// A manifest: the tensors of a checkpoint or of a network, by name, never their bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor/dtype.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

struct TensorInfo {
  std::string name;
  DType dtype = DType::kAny;
  Shape shape;
  // Tensors with equal storage ids share bytes (tied weights, views). -1: not known.
  int64_t storage = -1;
  bool optional = false;  // only in specs: a target may lack it (the network's own constant)
  std::string tied_to;    // only in specs: the name of the tensor that it shares its bytes with
  // Set by readers when this entry is listed but its elements cannot be had; says why and what to
  // do. Wanting such a tensor is an error, listing it or leaving it out is not.
  std::string unreadable;

  friend bool operator==(const TensorInfo&, const TensorInfo&) = default;
};

class Manifest {
 public:
  // Appends a tensor. False if the name is taken; nothing is added then.
  bool Add(TensorInfo tensor);

  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  size_t size() const { return tensors_.size(); }
  const TensorInfo& operator[](size_t index) const { return tensors_[index]; }
  TensorInfo& at(size_t index) { return tensors_.at(index); }  // the name must not be changed

  // Index of the tensor of this exact name.
  std::optional<size_t> Find(std::string_view name) const;
  // The same, looking first at `likely` (any number): whoever goes through two networks finds most names one after
  // another.
  std::optional<size_t> Find(std::string_view name, size_t likely) const;

  std::string framework;  // "mindspore", …; only reported, may be empty

 private:
  size_t Slot(std::string_view name, uint32_t hash) const;
  void Grow();

  std::vector<TensorInfo> tensors_;
  // Open addressing with linear probing, at most half full. Names stand in tensors_ alone: manifests of a million
  // tensors are usual for experts of quantized models.
  struct Entry {
    uint32_t hash = 0;
    uint32_t index = kFree;
  };
  static constexpr uint32_t kFree = UINT32_MAX;
  std::vector<Entry> index_;  // a power of two, or empty
};

}  // namespace ckmap
