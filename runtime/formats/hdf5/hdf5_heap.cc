#include "runtime/formats/hdf5/hdf5_heap.h"

#include <algorithm>
#include <bit>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/formats/hdf5/hdf5_tree2.h"

namespace ckmap {
namespace {

constexpr int kMaxDepth = 16;
constexpr uint64_t kMaxWidth = 4096;

class HeapReader {
 public:
  explicit HeapReader(Hdf5File& file) : file_(file) {}

  Result<void> Open(uint64_t address) {
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes, file_.Read(address, 146, "a fractal heap"));
    Hdf5Bytes in(bytes);
    if (in.Take(4) != "FRHP" || in.U8() != 0) return BadHdf5(address, "no fractal heap");
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, "a fractal heap"));
    id_bytes_ = in.U16();
    const uint16_t filters = in.U16();
    checked_ = (in.U8() & 2) != 0;
    const uint32_t max_object = in.U32();
    in.Skip(8);
    huge_tree_ = in.U64();
    in.Skip(8);
    const uint64_t free_space = in.U64();
    in.Skip(8 * 8);
    width_ = in.U16();
    start_size_ = in.U64();
    max_direct_ = in.U64();
    heap_bits_ = in.U16();
    in.Skip(2);
    root_ = in.U64();
    root_rows_ = in.U16();
    if (free_space != kHdf5NoAddress) {
      CKMAP_ASSIGN_OR_RETURN(const std::string list, file_.Read(free_space, 82, "the free space of a fractal heap"));
      if (!list.starts_with("FSHD")) return BadHdf5(free_space, "no list of free space");
      CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(list, "the free space of a fractal heap"));
    }
    if (filters != 0) return BadHdf5(address, "a fractal heap with filters, which is not read");
    const bool powers =
        std::has_single_bit(start_size_) && std::has_single_bit(max_direct_) && start_size_ <= max_direct_;
    if (in.bad() || !powers || width_ == 0 || width_ > kMaxWidth || heap_bits_ == 0 || heap_bits_ > 64 ||
        max_direct_ > uint64_t{1} << 32) {
      return BadHdf5(address, "a fractal heap of impossible sizes");
    }
    offset_bytes_ = Hdf5BytesOf(heap_bits_);
    length_bytes_ =
        std::min(Hdf5BytesOf(Hdf5Log2(max_direct_)), Hdf5BytesOf(Hdf5Log2(std::max<uint32_t>(max_object, 1)) + 1));
    direct_rows_ = static_cast<uint64_t>(Hdf5Log2(max_direct_) - Hdf5Log2(start_size_)) + 2;
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
    if (kind == 1) return HugeObject(in);
    if (kind != 0) return BadHdf5("a fractal heap with an object of an unknown kind");
    const uint64_t offset = in.Number(offset_bytes_);
    const uint64_t length = in.Number(length_bytes_);
    if (in.bad() || length == 0) return BadHdf5("a fractal heap's object that is cut short");
    CKMAP_ASSIGN_OR_RETURN(const Block block, Find(offset));
    const uint64_t within = offset - block.offset;
    if (within > block.size || length > block.size - within)
      return BadHdf5("a fractal heap's object that ends beyond its block");
    return file_.Read(block.address + within, length, "an object of a fractal heap");
  }

 private:
  struct Block {
    uint64_t address = 0;
    uint64_t offset = 0;  // in the heap
    uint64_t size = 0;
  };

  struct Huge {
    uint64_t address = 0;
    uint64_t length = 0;
  };

  // One that is longer than a block lies by itself: where, stands in its ID or, if that is too short, in a tree of such
  // objects.
  Result<std::string> HugeObject(Hdf5Bytes& in) {
    Huge huge;
    if (in.left() >= 16) {
      huge.address = in.U64();
      huge.length = in.U64();
    } else {
      if (!std::exchange(huge_read_, true)) CKMAP_RETURN_IF_ERROR(ReadHugeTree());
      const auto found = huge_.find(in.Number(std::min<size_t>(in.left(), 8)));
      if (found == huge_.end()) return BadHdf5("a huge object of a fractal heap that is in no tree");
      huge = found->second;
    }
    return file_.Read(huge.address, huge.length, "a huge object of a fractal heap");
  }

  Result<void> ReadHugeTree() {
    if (huge_tree_ == kHdf5NoAddress) return BadHdf5("a fractal heap without a tree of its huge objects");
    constexpr size_t kRecord = 24;
    return VisitHdf5Tree2(file_, huge_tree_, {1, "a tree of huge objects"}, kRecord, kRecord,
                          [this](std::string_view record) -> Result<void> {
                            Hdf5Bytes in(record);
                            Huge huge;
                            huge.address = in.U64();
                            huge.length = in.U64();
                            return huge_.emplace(in.U64(), huge).second
                                       ? Result<void>()
                                       : BadHdf5("a huge object of a fractal heap that is there twice");
                          });
  }

  uint64_t RowSize(uint64_t row) const { return row < 2 ? start_size_ : start_size_ << (row - 1); }

  // The direct block that holds the byte `offset` of the heap. Indirect blocks hold ever smaller parts.
  Result<Block> Find(uint64_t offset) {
    if (root_ == kHdf5NoAddress) return BadHdf5("an object of an empty fractal heap");
    if (root_rows_ == 0) return Checked({root_, 0, start_size_});
    uint64_t address = root_;
    uint64_t base = 0;
    uint64_t rows = root_rows_;
    for (int depth = 0; depth < kMaxDepth; ++depth) {
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
      rows = static_cast<uint64_t>(Hdf5Log2(RowSize(row)) - Hdf5Log2(start_size_ * width_)) + 1;
      if (rows > 62) return BadHdf5("a fractal heap of impossible sizes");
    }
    return BadHdf5("a fractal heap that is nested too deep");
  }

  // Entry of an indirect block, all of which is read once.
  Result<uint64_t> Child(uint64_t address, uint64_t rows, uint64_t entry) {
    auto known = indirect_.find(address);
    if (known == indirect_.end()) {
      const uint64_t head = 13 + offset_bytes_;
      CKMAP_ASSIGN_OR_RETURN(std::string bytes,
                             file_.Read(address, head + rows * width_ * 8 + 4, "a block of a fractal heap"));
      if (!bytes.starts_with("FHIB")) return BadHdf5(address, "no indirect block of a fractal heap");
      CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, "a block of a fractal heap"));
      known = indirect_.emplace(address, std::move(bytes)).first;
    }
    Hdf5Bytes in(known->second);
    in.Skip(13 + offset_bytes_ + static_cast<size_t>(entry) * 8);
    const uint64_t child = in.U64();
    if (in.bad() || child == kHdf5NoAddress)
      return BadHdf5(address, "an object in a block of a fractal heap that is not there");
    return child;
  }

  // A direct block must begin as one; each is looked at once.
  Result<Block> Checked(const Block& block) {
    if (!file_.Holds(block.address, block.size))
      return BadHdf5(block.address, "a block of a fractal heap ends beyond the file");
    if (std::find(direct_.begin(), direct_.end(), block.address) != direct_.end()) return block;
    CKMAP_ASSIGN_OR_RETURN(std::string bytes, file_.Read(block.address, block.size, "a block of a fractal heap"));
    if (!bytes.starts_with("FHDB")) return BadHdf5(block.address, "no direct block of a fractal heap");
    if (checked_) {
      // The sum stands in the block's head and is taken with zeros in its place.
      const size_t at = 13 + offset_bytes_;
      if (bytes.size() < at + 4) return BadHdf5(block.address, "a block of a fractal heap that is too small");
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
  uint64_t huge_tree_ = kHdf5NoAddress;
  bool huge_read_ = false;
  std::map<uint64_t, Huge> huge_;  // by the number in the ID
  std::map<uint64_t, std::string> indirect_;
  std::vector<uint64_t> direct_;
};

}  // namespace

Result<void> VisitHdf5Heap(Hdf5File& file, uint64_t heap, uint64_t tree, const Hdf5HeapIndex& index,
                           const std::function<Result<void>(std::string_view)>& visit) {
  HeapReader reader(file);
  CKMAP_RETURN_IF_ERROR(reader.Open(heap));
  const size_t record_bytes = index.before + reader.id_bytes() + index.after;
  return VisitHdf5Tree2(
      file, tree, {index.type, index.name}, record_bytes, record_bytes, [&](std::string_view record) -> Result<void> {
        CKMAP_ASSIGN_OR_RETURN(const std::string object, reader.Object(record.substr(index.before, reader.id_bytes())));
        return visit(object);
      });
}

}  // namespace ckmap
