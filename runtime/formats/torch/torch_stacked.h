// Pickles that stand one behind the other in a file, with raw bytes between or behind them: the old
// torch containers. Internal to torch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/result.h"
#include "runtime/formats/pickle/pickle.h"
#include "runtime/formats/torch/torch_globals.h"

namespace ckmap {

struct StackedPickle {
  std::unique_ptr<std::string> bytes;  // what `pickle` refers to
  Pickle pickle;
};

// Reads a run of a file from its start, part by part.
class StackedReader {
 public:
  StackedReader(const InputFile& file, int64_t begin, int64_t end, bool skip_unknown = false)
      : file_(file), at_(begin), end_(end), allow_(TorchAllowList::Scope::kCheckpoint, skip_unknown) {}

  int64_t at() const { return at_; }
  int64_t left() const { return end_ - at_; }

  // Errors say `what` was to be read and where.
  Result<StackedPickle> Next(std::string_view what);
  template <typename T>
  Result<T> Number(std::string_view what) {
    T value{};
    CKMAP_RETURN_IF_ERROR(Bytes(what, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  // `count` 64-bit numbers; the count is checked against what is left.
  Result<std::vector<int64_t>> Numbers(std::string_view what, int64_t count);
  // Steps over the elements of a storage; gives where they begin.
  Result<int64_t> Skip(std::string_view what, int64_t bytes);

 private:
  Result<void> Bytes(std::string_view what, std::span<std::byte> out);

  const InputFile& file_;
  int64_t at_;
  const int64_t end_;
  const TorchAllowList allow_;
};

}  // namespace ckmap
