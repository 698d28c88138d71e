// The elements of one tensor of a checkpoint in row-major order: the one way in which loading, digests, diff and verify
// see them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "runtime/base/result.h"
#include "runtime/exec/byte_layout.h"
#include "runtime/exec/computed/evaluators.h"
#include "runtime/exec/gather.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// A tensor of a checkpoint as it is, in pieces of itself.
PiecedTensor WholeOf(const Checkpoint& checkpoint, size_t tensor);

// Where a tensor's elements stand as they are wanted, dense and in order: bytes of one storage.
struct StoredRun {
  uint32_t storage = 0;
  int64_t offset = 0;  // in the storage
  int64_t length = 0;
};
// nullopt where they must be moved or converted, and for tensors without elements.
std::optional<StoredRun> AsStored(const LoweredTensor& tensor);
// The same place in a file; nullopt where the storage is not a run of one.
std::optional<FileExtent> InFile(const Checkpoint& checkpoint, const StoredRun& run);

// One thread's. Reads in bounded memory, about 16 MiB besides what the caller gives.
class TensorReader {
 public:
  // The checkpoint must outlive it. Errors name the tensor.
  static Result<std::unique_ptr<TensorReader>> Make(const Checkpoint& checkpoint, size_t tensor);

  int64_t bytes() const { return lowered_.bytes; }      // of all elements
  int64_t element() const { return lowered_.element; }  // of one; 1 for dtypes below a byte
  const LoweredTensor& layout() const { return lowered_; }

  // The little-endian bytes from `begin` on, with the layout's byte order and lazy bits applied. Both ends are
  // multiples of element().
  Result<void> Read(int64_t begin, std::span<std::byte> out);

 private:
  TensorReader(const Checkpoint& checkpoint, const std::string& name, LoweredTensor lowered);

  LoweredTensor lowered_;
  Evaluators evaluators_;
  Gatherer gatherer_;
};

// Hex SHA-256 of all elements of a tensor, streamed.
Result<std::string> DigestTensor(const Checkpoint& checkpoint, size_t tensor);

}  // namespace ckmap
