#include "runtime/tensor/open_sizes.h"

#include <algorithm>

#include <fmt/format.h>

namespace ckmap {

Result<void> CheckSizesAreKnown(const Manifest& manifest, std::string_view side) {
  const TensorInfo* first = nullptr;
  size_t open = 0;
  for (const TensorInfo& tensor : manifest.tensors()) {
    if (std::none_of(tensor.shape.begin(), tensor.shape.end(), [](int64_t size) { return size < 0; })) continue;
    if (first == nullptr) first = &tensor;
    ++open;
  }
  if (open == 0) return {};
  return Error(ErrorCode::kMismatch,
               fmt::format("{} tensor `{}` has the shape {}{}: here every size must be known; put the "
                           "size in the place of -1",
                           side, first->name, FormatShape(first->shape),
                           open == 1 ? "" : fmt::format(", and {} more have open sizes", open - 1)));
}

}  // namespace ckmap
