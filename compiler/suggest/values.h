// What the elements of two checkpoints say: which tensors hold the same values, and in which order. Private to
// compiler/suggest.
//
// Values are compared as f32 numbers, rounded to the target's float type where that is narrower, so that a checkpoint
// that was converted to bf16 is found in one of f32. Tensors of one value (zeros, ones) say nothing and match any other
// of the same value.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/bound_plan.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap::suggest {

struct Fingerprint {
  bool known = false;      // false: its elements are no numbers, or cannot be read
  bool constant = false;   // all elements are equal
  uint64_t ordered = 0;    // of the elements in row-major order
  uint64_t unordered = 0;  // of the elements in any order
};

// What a target was made of. Of several pairs, each target was made from its source in the same way.
struct ValuePair {
  const Checkpoint* source = nullptr;
  const Checkpoint* target = nullptr;
};

class Values {
 public:
  // Reads every tensor of all pairs once. They are referred to. Names, dtypes and shapes are the same in every pair. With
  // several pairs, two elements are equal if they are in each.
  static Result<std::unique_ptr<Values>> Read(std::vector<ValuePair> pairs);

  const std::vector<Fingerprint>& Sources() const { return source_; }
  const std::vector<Fingerprint>& Targets() const { return target_; }

  // Whether a tensor of a bound plan becomes what the target holds. nullopt: it is computed, or too large to compare.
  std::optional<bool> Makes(const BoundPlan& plan, const BoundTensor& tensor) const;

  // Operations on one tensor that make another: "| transpose()". "": none are needed. nullopt: none were found.
  std::optional<std::string> Operations(size_t source, size_t target) const;

  // Operations on a list of tensors that make one, after which the list stands in this order. nullopt: none were found.
  struct Joined {
    std::vector<size_t> order;  // of the list
    std::string operations;     // "| transpose() | concat(axis=0)"
    int axis = -1;              // along which they lie one after another; -1: in blocks that alternate
    bool turned = false;        // each part is transposed
  };
  std::optional<Joined> Join(const std::vector<size_t>& parts, bool of_source, size_t whole) const;

 private:
  // An element in a form that is equal where the elements are: the bits of a number, of several pairs a hash of them. 0:
  // the element is 0.
  using Key = uint32_t;
  using Keys = std::vector<Key>;

  explicit Values(std::vector<ValuePair> pairs);

  Result<std::vector<Fingerprint>> ReadAll(const std::vector<const Checkpoint*>& checkpoints) const;
  // Hands the keys of a tensor's elements on, block by block.
  template <typename Use>
  Result<void> ForEachBlock(const std::vector<const Checkpoint*>& checkpoints, size_t tensor, const Use& use) const;
  std::optional<Keys> Elements(const std::vector<const Checkpoint*>& checkpoints, size_t tensor) const;

  std::vector<const Checkpoint*> sources_, targets_;
  const Checkpoint& source_checkpoint_;
  const Checkpoint& target_checkpoint_;
  DType rounding_ = DType::kF32;
  std::vector<Fingerprint> source_, target_;
};

}  // namespace ckmap::suggest
