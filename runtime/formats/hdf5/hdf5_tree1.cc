#include "runtime/formats/hdf5/hdf5_tree1.h"

#include <deque>
#include <string>

#include <fmt/format.h>

namespace ckmap {
namespace {

// Nodes of a level know their neighbours, by which the library walks through them.
struct Siblings {
  int level = -1;
  uint64_t address = kHdf5NoAddress, right = kHdf5NoAddress;  // of the node before

  bool Follows(int at_level, uint64_t at, uint64_t left, uint64_t next) {
    const bool first = at_level != level;
    const bool fits = first ? right == kHdf5NoAddress && left == kHdf5NoAddress : right == at && left == address;
    level = at_level;
    address = at;
    right = next;
    return fits;
  }
  bool Ended() const { return right == kHdf5NoAddress; }
};

}  // namespace

// Nodes wait in a list; a child's level is one below its parent's, so that no circle has an end. What is visited twice
// is paid twice (Hdf5File::Read).
Result<void> VisitHdf5Tree1(Hdf5File& file, uint64_t root, const Hdf5Tree1Kind& kind,
                            const std::function<Result<void>(const Hdf5Tree1Child&)>& visit) {
  struct Node {
    uint64_t address;
    int level;  // -1: not known yet
  };
  constexpr uint64_t kHead = 24;
  const uint64_t size = kHead + kind.most * (kind.key_bytes + 8) + kind.key_bytes;
  std::deque<Node> waiting = {{root, -1}};
  Siblings siblings;
  while (!waiting.empty()) {
    const Node node = waiting.front();
    waiting.pop_front();
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes, file.Read(node.address, size, kind.name));
    Hdf5Bytes in(bytes);
    if (in.Take(4) != "TREE" || in.U8() != kind.type) return BadHdf5(node.address, fmt::format("is not {}", kind.name));
    const int level = in.U8();
    const uint64_t count = in.U16();
    if (node.level >= 0 && level != node.level) return BadHdf5(node.address, "a tree's node of the wrong level");
    if (count > kind.most)
      return BadHdf5(node.address,
                     fmt::format("a tree's node with {} children, which has room for {}", count, kind.most));
    const uint64_t left = in.U64();
    if (!siblings.Follows(level, node.address, left, in.U64()))
      return BadHdf5(node.address, "a tree's node with other neighbours");
    Hdf5Tree1Child child;
    child.node = node.address;
    child.leaf = level == 0;
    child.below = in.Take(kind.key_bytes);
    for (uint64_t i = 0; i < count; ++i) {
      child.address = in.U64();
      child.above = in.Take(kind.key_bytes);
      CKMAP_RETURN_IF_ERROR(visit(child));
      if (!child.leaf) waiting.push_back({child.address, level - 1});
      child.below = child.above;
    }
  }
  return siblings.Ended() ? Result<void>() : BadHdf5(fmt::format("{} that ends too early", kind.name));
}

}  // namespace ckmap
