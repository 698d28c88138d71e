// How the ranks of MindFormers' "Checkpoint 2.0" cut a tensor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ckmap {

struct MfLayout {
  std::vector<int64_t> mesh;  // extents of the device mesh, rank order row-major
  std::vector<std::vector<int64_t>>
      axes;                    // for each tensor axis the mesh axes that cut it, from the left, outermost first
  std::vector<int64_t> ranks;  // the mesh's ranks, in its order
  std::vector<std::vector<int64_t>> holders;  // by slice: the ranks that hold it, ascending

  // Parts of each tensor axis; their product is the number of slices.
  std::vector<int64_t> Fragments() const {
    std::vector<int64_t> parts;
    for (const auto& cut : axes) {
      int64_t count = 1;
      for (const int64_t axis : cut) count *= mesh[static_cast<size_t>(axis)];
      parts.push_back(count);
    }
    return parts;
  }
  // The slice that the device at this place of the mesh holds.
  int64_t SliceOf(int64_t place) const {
    std::vector<int64_t> at(mesh.size());
    for (size_t k = mesh.size(); k-- > 0; place /= mesh[k]) at[k] = place % mesh[k];
    int64_t number = 0;
    for (const auto& cut : axes) {
      for (const int64_t axis : cut) number = number * mesh[static_cast<size_t>(axis)] + at[static_cast<size_t>(axis)];
    }
    return number;
  }
  // Fills `holders` from the other fields.
  void FindHolders() {
    int64_t slices = 1;
    for (const int64_t parts : Fragments()) slices *= parts;
    holders.assign(static_cast<size_t>(slices), {});
    for (size_t place = 0; place < ranks.size(); ++place)
      holders[static_cast<size_t>(SliceOf(static_cast<int64_t>(place)))].push_back(ranks[place]);
    for (auto& of_slice : holders) std::sort(of_slice.begin(), of_slice.end());
  }
};

}  // namespace ckmap
