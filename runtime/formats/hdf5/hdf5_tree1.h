// Version 1 B-trees: of a group's names and of a dataset's chunks. Internal to hdf5.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "runtime/formats/hdf5/hdf5_file.h"

namespace ckmap {

struct Hdf5Tree1Kind {
  uint8_t type = 0;  // 0: of a group, 1: of chunks
  size_t key_bytes = 0;
  uint64_t most = 0;  // children of a node, for which there is room in each
  std::string_view name;
};

// A child of a node, and the keys on both sides of it.
struct Hdf5Tree1Child {
  uint64_t node = 0;  // address of the node
  bool leaf = false;  // whether the child is none of the tree's nodes
  std::string_view below;
  uint64_t address = 0;
  std::string_view above;
};

// Calls `visit` for each child of each node, level by level from the root. kMalformed for what is no such tree.
Result<void> VisitHdf5Tree1(Hdf5File& file, uint64_t root, const Hdf5Tree1Kind& kind,
                            const std::function<Result<void>(const Hdf5Tree1Child&)>& visit);

}  // namespace ckmap
