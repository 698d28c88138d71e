#include "runtime/formats/hdf5/hdf5_tree2.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr int kMaxTreeDepth = 16;

class Tree {
 public:
  Tree(Hdf5File& file, uint64_t address, const Hdf5Tree2Kind& kind) : file_(file), address_(address), kind_(kind) {}

  Result<void> Visit(size_t least, size_t most, const std::function<Result<void>(std::string_view)>& visit) {
    CKMAP_ASSIGN_OR_RETURN(const std::string head, file_.Read(address_, 38, kind_.name));
    Hdf5Bytes in(head);
    if (in.Take(4) != "BTHD" || in.U8() != 0 || in.U8() != kind_.type) return Bad("something else is there");
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(head, kind_.name));
    node_bytes_ = in.U32();
    record_bytes_ = in.U16();
    const int depth = in.U16();
    in.Skip(2);
    const uint64_t root = in.U64();
    const uint16_t records = in.U16();
    if (record_bytes_ < least || record_bytes_ > most || node_bytes_ < 64 || depth > kMaxTreeDepth)
      return Bad("impossible sizes");
    if (root == kHdf5NoAddress) return {};
    // How many records fit, and how wide their counts are, level by level from the leaves.
    levels_.assign(static_cast<size_t>(depth) + 1, {});
    levels_[0].most = (node_bytes_ - 10) / record_bytes_;
    levels_[0].total = levels_[0].most;
    const size_t count_bytes = Hdf5BytesOf(Hdf5Log2(std::max<uint64_t>(levels_[0].most, 1)) + 1);
    for (size_t level = 1; level < levels_.size(); ++level) {
      const size_t total_bytes = level > 1 ? levels_[level - 1].total_bytes : 0;
      levels_[level].pointer = 8 + count_bytes + total_bytes;
      levels_[level].count_bytes = count_bytes;
      if (node_bytes_ < 10 + levels_[level].pointer) return Bad("impossible sizes");
      levels_[level].most = (node_bytes_ - 10 - levels_[level].pointer) / (record_bytes_ + levels_[level].pointer);
      levels_[level].total =
          std::min((levels_[level].most + 1) * levels_[level - 1].total + levels_[level].most, uint64_t{1} << 56);
      levels_[level].total_bytes = Hdf5BytesOf(Hdf5Log2(std::max<uint64_t>(levels_[level].total, 1)) + 1);
    }
    waiting_.push_back({root, records, static_cast<size_t>(depth)});
    while (!waiting_.empty()) {
      const Node node = waiting_.front();
      waiting_.pop_front();
      CKMAP_RETURN_IF_ERROR(ReadNode(node, visit));
    }
    return {};
  }

 private:
  struct Level {
    uint64_t most = 0;       // records of a node
    uint64_t total = 0;      // and of all nodes below it with its own
    size_t pointer = 0;      // bytes of a pointer to a child
    size_t count_bytes = 0;  // of a child's number of records
    size_t total_bytes = 0;  // of a number of all records below a node of this level
  };
  struct Node {
    uint64_t address;
    uint64_t records;
    size_t level;
  };

  Error Bad(std::string_view what) const { return BadHdf5(address_, fmt::format("{}: {}", kind_.name, what)); }

  Result<void> ReadNode(const Node& node, const std::function<Result<void>(std::string_view)>& visit) {
    const Level& level = levels_[node.level];
    if (node.records > level.most) return Bad("a node with more records than it holds");
    const uint64_t children = node.level > 0 ? node.records + 1 : 0;
    const uint64_t size = 6 + node.records * record_bytes_ + children * level.pointer + 4;
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes, file_.Read(node.address, size, kind_.name));
    if (!bytes.starts_with(node.level > 0 ? "BTIN" : "BTLF")) return Bad("something else is in it");
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, kind_.name));
    Hdf5Bytes in(bytes);
    in.Skip(6);
    for (uint64_t i = 0; i < node.records; ++i) {
      CKMAP_RETURN_IF_ERROR(visit(in.Take(record_bytes_)));
    }
    for (uint64_t i = 0; i < children; ++i) {
      Node child{in.U64(), 0, node.level - 1};
      child.records = in.Number(level.count_bytes);
      in.Skip(level.pointer - 8 - level.count_bytes);
      waiting_.push_back(child);
    }
    return {};
  }

  Hdf5File& file_;
  uint64_t address_;
  const Hdf5Tree2Kind& kind_;
  uint64_t node_bytes_ = 0;
  size_t record_bytes_ = 0;
  std::vector<Level> levels_;
  std::deque<Node> waiting_;
};

}  // namespace

Result<void> VisitHdf5Tree2(Hdf5File& file, uint64_t address, const Hdf5Tree2Kind& kind, size_t least_bytes,
                            size_t most_bytes, const std::function<Result<void>(std::string_view)>& visit) {
  return Tree(file, address, kind).Visit(least_bytes, most_bytes, visit);
}

}  // namespace ckmap
