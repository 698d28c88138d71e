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

class Values {
 public:
  // Reads every tensor of both once. They are referred to.
  static Result<std::unique_ptr<Values>> Read(const Checkpoint& source, const Checkpoint& target);

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
  Values(const Checkpoint& source, const Checkpoint& target) : source_checkpoint_(source), target_checkpoint_(target) {}

  Result<std::vector<Fingerprint>> ReadAll(const Checkpoint& checkpoint) const;
  std::optional<std::vector<float>> Elements(const Checkpoint& checkpoint, size_t tensor) const;

  const Checkpoint& source_checkpoint_;
  const Checkpoint& target_checkpoint_;
  DType rounding_ = DType::kF32;
  std::vector<Fingerprint> source_, target_;
};

}  // namespace ckmap::suggest
