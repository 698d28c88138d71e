// Memory of an execution.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ckmap {

// How one thread's memory is divided, bytes.
struct Budget {
  int threads = 1;
  int64_t strip = 0;    // what is put together before it is written
  int64_t convert = 0;  // elements between the gather and the casts
  int64_t staging = 0;  // source bytes

  int64_t small() const { return strip / 4; }  // tensors up to this are done in batches
  int64_t total() const { return strip + convert + staging; }

  // Fewer threads than asked for if the memory is too little for them.
  static Budget Make(int threads, int64_t max_memory);
  // For the operands of computed nodes, at one depth of nesting.
  static Budget ForOperands();
};

// What a thread uses beyond its budget for each depth of computed nodes: the buffers for their
// operands, and what their evaluators keep (evaluators.h).
inline constexpr int64_t kComputedMemory = int64_t{8} << 20;

// Memory of its own, in huge pages where the system has them; bytes are touched only when used.
class Buffer {
 public:
  explicit Buffer(int64_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  bool ok() const { return data_ != nullptr; }
  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace ckmap
