// Runs a prepared migration into memory: tensors one after another, or into places that the caller owns.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/exec/executor.h"
#include "runtime/migrate/mapped_files.h"
#include "runtime/migrate/prepare.h"

namespace ckmap {

// The elements of a tensor, little-endian, dense and row-major.
struct LoadedTensor {
  size_t tensor = 0;                       // index into BoundPlan::tensors
  std::shared_ptr<const std::byte> bytes;  // owns them; null if there are none
  int64_t length = 0;
  bool view = false;  // of the source's file
};

struct LoadRequest {
  std::vector<size_t> order;  // indices into BoundPlan::tensors, each at most once: what is wanted
  ExecOptions run =
      {};             // of max_memory, a half holds tensors that are ready, the other moves bytes; `stop` is not used
  bool views = true;  // give views of the source's files where they hold the elements as they are
};

// Makes tensors ahead, in order, on threads of its own. Next and the destructor belong to one thread.
class TensorLoader {
 public:
  // The migration must fit and have a checkpoint as its source.
  static Result<std::unique_ptr<TensorLoader>> Start(std::shared_ptr<const PreparedMigration> migration,
                                                     LoadRequest request, std::shared_ptr<MappedFiles> maps);
  ~TensorLoader();  // stops and joins the threads

  // nullopt at the end, when all checksums of the source are right.
  Result<std::optional<LoadedTensor>> Next();
  // Lets a Next that waits, and all that come, end with an Error soon. From any thread.
  void Stop();

 private:
  struct State;
  explicit TensorLoader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Where one tensor of BoundPlan::tensors goes.
struct TensorPlace {
  std::span<std::byte> bytes;  // of the tensor's size
  bool shared = false;         // an earlier tensor of the same bytes has this place too
};

// Fills all places, one for each tensor. `complete`: which of them hold their tensor, also where it fails.
Result<ExecResult> LoadInto(const PreparedMigration& migration, std::span<const TensorPlace> places,
                            const ExecOptions& options, std::vector<bool>& complete);

}  // namespace ckmap
