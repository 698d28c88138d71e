#include "runtime/formats/hdf5_heap.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr int kMaxTreeDepth = 16;
constexpr uint64_t kMaxWidth = 4096;

int Log2(uint64_t value) { return static_cast<int>(std::bit_width(value)) - 1; }
size_t BytesOf(int bits) { return static_cast<size_t>((bits + 7) / 8); }

class HeapReader {
 public:
  explicit HeapReader(Hdf5File& file) : file_(file) {}

  Result<void> Open(uint64_t address) {
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes, file_.Read(address, 146, "a fractal heap"));
    Hdf5Bytes in(bytes);
    if (in.Take(4) != "FRHP" || in.U8() != 0) return Bad(address, "no fractal heap");
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, "a fractal heap"));
    id_bytes_ = in.U16();
    const uint16_t filters = in.U16();
    checked_ = (in.U8() & 2) != 0;
    const uint32_t max_object = in.U32();
    in.Skip(8 * 12);
    width_ = in.U16();
    start_size_ = in.U64();
    max_direct_ = in.U64();
    heap_bits_ = in.U16();
    in.Skip(2);
    root_ = in.U64();
    root_rows_ = in.U16();
    if (filters != 0) return Bad(address, "a fractal heap with filters, which is not read");
    const bool powers = std::has_single_bit(start_size_) && std::has_single_bit(max_direct_) && start_size_ <= max_direct_;
    if (in.bad() || !powers || width_ == 0 || width_ > kMaxWidth || heap_bits_ == 0 || heap_bits_ > 64 || max_direct_ > uint64_t{1} << 32) {
      return Bad(address, "a fractal heap of impossible sizes");
    }
    offset_bytes_ = BytesOf(heap_bits_);
    length_bytes_ = std::min(BytesOf(Log2(max_direct_)), BytesOf(Log2(std::max<uint32_t>(max_object, 1)) + 1));
    direct_rows_ = static_cast<uint64_t>(Log2(max_direct_) - Log2(start_size_)) + 2;
    return {};
  }

  size_t id_bytes() const { return id_bytes_; }

  // The object of an ID.
  Result<std::string> Object(std::string_view id) {
    Hdf5Bytes in(id);
    const uint8_t flags = in.U8();
    const int kind = flags >> 4 & 3;
    if (kind == 2) {  // tiny: in the ID itself
      const size_t length = size_t{flags & 0xfU} + 1;
      if (length > in.left()) return BadHdf5("a fractal heap's tiny object that is cut short");
      return std::string(in.Take(length));
    }
    if (kind != 0) return BadHdf5("a fractal heap with an object of its own, which is not read");
    const uint64_t offset = in.Number(offset_bytes_);
    const uint64_t length = in.Number(length_bytes_);
    if (in.bad() || length == 0) return BadHdf5("a fractal heap's object that is cut short");
    CKMAP_ASSIGN_OR_RETURN(const Block block, Find(offset));
    const uint64_t within = offset - block.offset;
    if (within > block.size || length > block.size - within) return BadHdf5("a fractal heap's object that ends beyond its block");
    return file_.Read(block.address + within, length, "an object of a fractal heap");
  }

 private:
  struct Block {
    uint64_t address = 0;
    uint64_t offset = 0;  // in the heap
    uint64_t size = 0;
  };

  static Error Bad(uint64_t address, std::string_view what) { return BadHdf5(fmt::format("byte {}: {}", address, what)); }

  uint64_t RowSize(uint64_t row) const { return row < 2 ? start_size_ : start_size_ << (row - 1); }

  // The direct block that holds the byte `offset` of the heap. Indirect blocks hold ever smaller parts.
  Result<Block> Find(uint64_t offset) {
    if (root_ == kHdf5NoAddress) return BadHdf5("an object of an empty fractal heap");
    if (root_rows_ == 0) return Checked({root_, 0, start_size_});
    uint64_t address = root_;
    uint64_t base = 0;
    uint64_t rows = root_rows_;
    for (int depth = 0; depth < kMaxTreeDepth; ++depth) {
      uint64_t row = 0;
      uint64_t row_base = base;
      while (row < rows && row < 62 && offset - row_base >= width_ * RowSize(row)) row_base += width_ * RowSize(row++);
      if (row >= rows || row >= 62) return BadHdf5("an object beyond the end of its fractal heap");
      const uint64_t column = (offset - row_base) / RowSize(row);
      CKMAP_ASSIGN_OR_RETURN(const uint64_t child, Child(address, rows, row * width_ + column));
      const uint64_t child_base = row_base + column * RowSize(row);
      if (row < direct_rows_) return Checked({child, child_base, RowSize(row)});
      address = child;
      base = child_base;
      rows = static_cast<uint64_t>(Log2(RowSize(row)) - Log2(start_size_ * width_)) + 1;
      if (rows > 62) return BadHdf5("a fractal heap of impossible sizes");
    }
    return BadHdf5("a fractal heap that is nested too deep");
  }

  // Entry of an indirect block, all of which is read once.
  Result<uint64_t> Child(uint64_t address, uint64_t rows, uint64_t entry) {
    auto known = indirect_.find(address);
    if (known == indirect_.end()) {
      const uint64_t head = 13 + offset_bytes_;
      CKMAP_ASSIGN_OR_RETURN(std::string bytes, file_.Read(address, head + rows * width_ * 8 + 4, "a block of a fractal heap"));
      if (!bytes.starts_with("FHIB")) return Bad(address, "no indirect block of a fractal heap");
      CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, "a block of a fractal heap"));
      known = indirect_.emplace(address, std::move(bytes)).first;
    }
    Hdf5Bytes in(known->second);
    in.Skip(13 + offset_bytes_ + static_cast<size_t>(entry) * 8);
    const uint64_t child = in.U64();
    if (in.bad() || child == kHdf5NoAddress) return Bad(address, "an object in a block of a fractal heap that is not there");
    return child;
  }

  // A direct block must begin as one; each is looked at once.
  Result<Block> Checked(const Block& block) {
    if (!file_.Holds(block.address, block.size)) return Bad(block.address, "a block of a fractal heap ends beyond the file");
    if (std::find(direct_.begin(), direct_.end(), block.address) != direct_.end()) return block;
    CKMAP_ASSIGN_OR_RETURN(std::string bytes, file_.Read(block.address, block.size, "a block of a fractal heap"));
    if (!bytes.starts_with("FHDB")) return Bad(block.address, "no direct block of a fractal heap");
    if (checked_) {
      // The sum stands in the block's head and is taken with zeros in its place.
      const size_t at = 13 + offset_bytes_;
      if (bytes.size() < at + 4) return Bad(block.address, "a block of a fractal heap that is too small");
      const std::string sum = bytes.substr(at, 4);
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), 4, '\0');
      CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes + sum, "a block of a fractal heap"));
    }
    direct_.push_back(block.address);
    return block;
  }

  Hdf5File& file_;
  size_t id_bytes_ = 0;
  size_t offset_bytes_ = 0;
  size_t length_bytes_ = 0;
  bool checked_ = false;
  uint64_t width_ = 0;
  uint64_t start_size_ = 0;
  uint64_t max_direct_ = 0;
  int heap_bits_ = 0;
  uint64_t direct_rows_ = 0;
  uint64_t root_ = 0;
  uint64_t root_rows_ = 0;
  std::map<uint64_t, std::string> indirect_;
  std::vector<uint64_t> direct_;
};

// The records of a version 2 B-tree whose records are a hash and a heap ID.
class NameTree {
 public:
  NameTree(Hdf5File& file, uint64_t address) : file_(file), address_(address) {}

  Result<void> Visit(size_t id_bytes, const std::function<Result<void>(std::string_view)>& visit) {
    CKMAP_ASSIGN_OR_RETURN(const std::string head, file_.Read(address_, 38, "a tree of names"));
    Hdf5Bytes in(head);
    constexpr uint8_t kLinkNames = 5;
    if (in.Take(4) != "BTHD" || in.U8() != 0 || in.U8() != kLinkNames) return Bad("no tree of link names");
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(head, "a tree of names"));
    node_bytes_ = in.U32();
    record_bytes_ = in.U16();
    const int depth = in.U16();
    in.Skip(2);
    const uint64_t root = in.U64();
    const uint16_t records = in.U16();
    if (record_bytes_ != 4 + id_bytes || node_bytes_ < 64 || depth > kMaxTreeDepth) return Bad("a tree of names of impossible sizes");
    if (root == kHdf5NoAddress) return {};
    // How many records fit, and how wide their counts are, level by level from the leaves.
    levels_.assign(static_cast<size_t>(depth) + 1, {});
    levels_[0].most = (node_bytes_ - 10) / record_bytes_;
    levels_[0].total = levels_[0].most;
    const size_t count_bytes = BytesOf(Log2(std::max<uint64_t>(levels_[0].most, 1)) + 1);
    for (size_t level = 1; level < levels_.size(); ++level) {
      const size_t total_bytes = level > 1 ? levels_[level - 1].total_bytes : 0;
      levels_[level].pointer = 8 + count_bytes + total_bytes;
      levels_[level].count_bytes = count_bytes;
      if (node_bytes_ < 10 + levels_[level].pointer) return Bad("a tree of names of impossible sizes");
      levels_[level].most = (node_bytes_ - 10 - levels_[level].pointer) / (record_bytes_ + levels_[level].pointer);
      levels_[level].total = std::min((levels_[level].most + 1) * levels_[level - 1].total + levels_[level].most, uint64_t{1} << 56);
      levels_[level].total_bytes = BytesOf(Log2(std::max<uint64_t>(levels_[level].total, 1)) + 1);
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
    uint64_t most = 0;         // records of a node
    uint64_t total = 0;        // and of all nodes below it with its own
    size_t pointer = 0;        // bytes of a pointer to a child
    size_t count_bytes = 0;    // of a child's number of records
    size_t total_bytes = 0;    // of a number of all records below a node of this level
  };
  struct Node {
    uint64_t address;
    uint64_t records;
    size_t level;
  };

  Error Bad(std::string_view what) const { return BadHdf5(fmt::format("byte {}: {}", address_, what)); }

  Result<void> ReadNode(const Node& node, const std::function<Result<void>(std::string_view)>& visit) {
    const Level& level = levels_[node.level];
    if (node.records > level.most) return Bad("a tree of names with more records than a node holds");
    const uint64_t children = node.level > 0 ? node.records + 1 : 0;
    const uint64_t size = 6 + node.records * record_bytes_ + children * level.pointer + 4;
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes, file_.Read(node.address, size, "a tree of names"));
    if (!bytes.starts_with(node.level > 0 ? "BTIN" : "BTLF")) return Bad("a tree of names with something else in it");
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, "a tree of names"));
    Hdf5Bytes in(bytes);
    in.Skip(6);
    for (uint64_t i = 0; i < node.records; ++i) {
      in.Skip(4);
      CKMAP_RETURN_IF_ERROR(visit(in.Take(record_bytes_ - 4)));
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
  uint64_t node_bytes_ = 0;
  size_t record_bytes_ = 0;
  std::vector<Level> levels_;
  std::deque<Node> waiting_;
};

}  // namespace

Result<void> VisitHdf5Heap(Hdf5File& file, uint64_t heap, uint64_t tree,
                           const std::function<Result<void>(std::string_view)>& visit) {
  HeapReader reader(file);
  CKMAP_RETURN_IF_ERROR(reader.Open(heap));
  return NameTree(file, tree).Visit(reader.id_bytes(), [&](std::string_view id) -> Result<void> {
    CKMAP_ASSIGN_OR_RETURN(const std::string object, reader.Object(id));
    return visit(object);
  });
}

}  // namespace ckmap
