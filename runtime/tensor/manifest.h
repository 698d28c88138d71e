// A manifest: the tensors of a checkpoint or of a network, by name, never their bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
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

  std::string framework;  // "mindspore", …; only reported, may be empty

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> index_;
};

}  // namespace ckmap
