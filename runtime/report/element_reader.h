// The elements of one tensor of a checkpoint in row-major order, a block at a time, and as numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/exec/elements.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

class ElementReader {
 public:
  // The tensor must be readable and of whole bytes per element.
  ElementReader(const Checkpoint& checkpoint, size_t tensor);

  int64_t elements() const { return elements_; }
  // Little-endian bytes of the elements [begin, begin + count), with the layout's byte order and
  // lazy bits applied.
  Result<void> Read(int64_t begin, int64_t count, std::vector<std::byte>& out);

 private:
  Result<void> ReadStrided(int64_t begin, int64_t count, std::vector<std::byte>& out);
  void Finish(std::vector<std::byte>& out);

  const Checkpoint& checkpoint_;
  const TensorInfo& info_;
  const TensorLayout& layout_;
  int64_t size_ = 0;  // bytes of an element
  int64_t elements_ = 0;
  bool dense_ = false;
  ElementChain chain_;  // puts right byte order and lazy bits
  std::vector<std::byte> raw_;
  std::vector<std::byte> window_;  // bytes of the storage from window_begin_
  int64_t window_begin_ = 0;
};

// Whether ToNumbers knows the type.
bool IsNumber(DType dtype);

// Dense little-endian elements as doubles (64-bit integers are rounded to the nearest).
void ToNumbers(DType dtype, std::span<const std::byte> elements, std::vector<double>& out);

}  // namespace ckmap
