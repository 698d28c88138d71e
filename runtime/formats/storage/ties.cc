#include "runtime/formats/storage/ties.h"

#include <map>
#include <tuple>

namespace ckmap {

Manifest ManifestWithTies(const Checkpoint& checkpoint) {
  Manifest manifest = checkpoint.manifest();
  using Bytes = std::tuple<int64_t, int64_t, DType, Shape, std::vector<int64_t>, bool, bool, bool>;
  std::map<Bytes, size_t> first;
  for (size_t i = 0; i < manifest.size(); ++i) {
    const TensorInfo& info = manifest[i];
    if (info.storage < 0 || !info.unreadable.empty() || NumElements(info.shape).value_or(0) == 0) continue;
    const TensorLayout& layout = checkpoint.layout(i);
    std::vector<int64_t> strides = layout.strides;
    for (size_t axis = 0; axis < strides.size(); ++axis) {
      if (info.shape[axis] == 1) strides[axis] = 0;
    }
    const auto [at, made] =
        first.try_emplace(Bytes{info.storage, layout.offset, info.dtype, info.shape, std::move(strides),
                                layout.byteswap, layout.conjugate, layout.negative},
                          i);
    if (!made) manifest.at(i).tied_to = manifest[at->second].name;
  }
  return manifest;
}

}  // namespace ckmap
