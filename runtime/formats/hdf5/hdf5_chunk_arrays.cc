// Chunk indexes of later libraries. Their entries are numbered as chunks lie in the grid of the largest shape that the
// dataset may grow to; an axis without end is the slowest, wherever it stands.
#include <algorithm>
#include <bit>
#include <optional>

#include "runtime/formats/hdf5/hdf5_chunks.h"
#include "runtime/formats/hdf5/hdf5_object.h"
#include "runtime/formats/hdf5/hdf5_tree2.h"

namespace ckmap {
namespace {

constexpr std::string_view kIndex = "an index of chunks";

Error Misfit(uint64_t address) { return BadHdf5(address, "an index of chunks that does not fit its dataset"); }

// From the number of an entry to that of a chunk.
class EntryOrder {
 public:
  explicit EntryOrder(const Hdf5Chunks& chunks) : chunks_(chunks) {
    for (size_t axis = 0; axis < chunks.shape.size(); ++axis) {
      if (chunks.most[axis] == kHdf5Unlimited) {
        endless_.push_back(axis);
        grid_.push_back(1);
        continue;
      }
      grid_.push_back(static_cast<uint64_t>((chunks.most[axis] + chunks.chunk[axis] - 1) / chunks.chunk[axis]));
      if (__builtin_mul_overflow(total_, grid_.back(), &total_)) total_ = ~uint64_t{0};
    }
  }

  const std::vector<size_t>& endless() const { return endless_; }
  // Of all chunks, or of those of one index of the endless axis; 2^64 - 1 stands for more.
  uint64_t total() const { return total_; }

  // nullopt: beyond the present shape.
  std::optional<uint64_t> Chunk(uint64_t entry) const {
    std::vector<uint64_t> at(grid_.size(), 0);
    for (size_t axis = grid_.size(); axis-- > 0;) {
      at[axis] = entry % grid_[axis];
      entry /= grid_[axis];
    }
    if (!endless_.empty()) at[endless_[0]] = entry;
    return Number(at);
  }

  std::optional<uint64_t> Number(const std::vector<uint64_t>& at) const {
    uint64_t number = 0;
    for (size_t axis = 0; axis < at.size(); ++axis) {
      const auto grid = static_cast<uint64_t>(chunks_.Grid(axis));
      if (at[axis] >= grid) return std::nullopt;
      number = number * grid + at[axis];
    }
    return number;
  }

 private:
  const Hdf5Chunks& chunks_;
  std::vector<size_t> endless_;
  std::vector<uint64_t> grid_;
  uint64_t total_ = 1;
};

// Entries of an array: addresses, and of filtered chunks their sizes too.
class ArrayEntries {
 public:
  ArrayEntries(Hdf5File& file, Hdf5Chunks& chunks, const EntryOrder& order)
      : file_(file), chunks_(chunks), order_(order) {}

  // Whether entries of this width can be those of the dataset.
  bool Fits(bool filtered, uint64_t width) {
    filtered_ = filtered;
    width_ = width;
    return filtered == !chunks_.filters.empty() && (filtered ? width > 12 && width <= 20 : width == 8);
  }
  uint64_t width() const { return width_; }

  Result<void> Add(Hdf5Bytes& in, uint64_t entry) {
    Hdf5Chunk place{in.U64(), static_cast<uint64_t>(chunks_.chunk_bytes), 0};
    if (filtered_) {
      place.stored = in.Number(static_cast<size_t>(width_ - 12));
      place.skipped = in.U32();
    }
    const auto number = order_.Chunk(entry);
    return place.address == kHdf5NoAddress || !number ? Result<void>() : AddHdf5Chunk(file_, *number, place, chunks_);
  }

  Result<void> AddRun(std::string_view bytes, uint64_t first, uint64_t count) {
    Hdf5Bytes in(bytes);
    for (uint64_t i = 0; i < count; ++i) CKMAP_RETURN_IF_ERROR(Add(in, first + i));
    return {};
  }

 private:
  Hdf5File& file_;
  Hdf5Chunks& chunks_;
  const EntryOrder& order_;
  bool filtered_ = false;
  uint64_t width_ = 8;
};

bool BitSet(std::string_view bits, uint64_t at) {
  return (static_cast<unsigned char>(bits[static_cast<size_t>(at / 8)]) >> (7 - at % 8) & 1) != 0;
}

// An array of chunks that grows: a few entries in the index block, then blocks of 1, 1, 2, 2, 4, 4 … data blocks whose
// sizes double by turns; the first of those are pointed to from the index block, later ones from blocks of their own.
class GrowingArray {
 public:
  GrowingArray(Hdf5File& file, uint64_t address, Hdf5Chunks& chunks)
      : file_(file), address_(address), chunks_(chunks), order_(chunks), entries_(file, chunks, order_) {}

  Result<void> Read() {
    CKMAP_ASSIGN_OR_RETURN(const std::string head, file_.Read(address_, 72, kIndex));
    Hdf5Bytes in(head);
    if (in.Take(4) != "EAHD" || in.U8() != 0) return BadHdf5(address_, "no index of chunks");
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(head, kIndex));
    client_ = in.U8();
    const uint64_t width = in.U8();
    const int bits = in.U8();
    in_index_ = in.U8();
    block_least_ = in.U8();
    const uint64_t pointers = in.U8();
    const int page_bits = in.U8();
    in.Skip(32);
    used_ = in.U64();  // entries up to the last that was set
    in.Skip(8);
    const uint64_t index = in.U64();
    const bool powers = std::has_single_bit(block_least_) && std::has_single_bit(pointers);
    if (client_ > 1 || !entries_.Fits(client_ == 1, width) || order_.endless().size() != 1 || bits == 0 || bits > 63 ||
        !powers || pointers < 2 || page_bits > 30 || static_cast<int>(std::bit_width(block_least_)) > bits + 1) {
      return Misfit(address_);
    }
    offset_bytes_ = static_cast<uint64_t>(bits + 7) / 8;
    page_ = uint64_t{1} << page_bits;
    supers_ = static_cast<uint64_t>(bits) - static_cast<uint64_t>(std::bit_width(block_least_) - 1) + 1;
    direct_supers_ = std::min<uint64_t>(supers_, 2 * static_cast<uint64_t>(std::bit_width(pointers) - 1));
    if (index == kHdf5NoAddress || used_ == 0) return {};
    return ReadIndexBlock(index, 2 * (pointers - 1));
  }

 private:
  uint64_t Blocks(uint64_t super) const { return uint64_t{1} << (super / 2); }
  uint64_t BlockEntries(uint64_t super) const { return block_least_ << ((super + 1) / 2); }
  uint64_t Pages(uint64_t super) const { return BlockEntries(super) > page_ ? BlockEntries(super) / page_ : 0; }

  Result<std::string> ReadBlock(uint64_t address, std::string_view magic, uint64_t bytes) {
    CKMAP_ASSIGN_OR_RETURN(std::string block, file_.Read(address, bytes, kIndex));
    Hdf5Bytes in(block);
    if (in.Take(4) != magic || in.U8() != 0 || in.U8() != client_ || in.U64() != address_) {
      return BadHdf5(address, "no part of an index of chunks");
    }
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(block, kIndex));
    return block;
  }

  Result<void> ReadIndexBlock(uint64_t address, uint64_t data_blocks) {
    const uint64_t later = supers_ - direct_supers_;
    const uint64_t size = kPrefix + in_index_ * entries_.width() + (data_blocks + later) * 8 + 4;
    CKMAP_ASSIGN_OR_RETURN(const std::string block, ReadBlock(address, "EAIB", size));
    Hdf5Bytes in(block);
    in.Skip(kPrefix);
    for (uint64_t i = 0; i < in_index_; ++i) CKMAP_RETURN_IF_ERROR(entries_.Add(in, i));
    uint64_t first = in_index_;
    for (uint64_t super = 0; super < direct_supers_; ++super) {
      for (uint64_t i = 0; i < Blocks(super); ++i, first += BlockEntries(super)) {
        CKMAP_RETURN_IF_ERROR(ReadDataBlock(in.U64(), super, first, {}));
      }
    }
    for (uint64_t super = direct_supers_; super < supers_ && first < used_; ++super) {
      CKMAP_RETURN_IF_ERROR(ReadSuperBlock(in.U64(), super, first));
      first += Blocks(super) * BlockEntries(super);
    }
    return {};
  }

  Result<void> ReadSuperBlock(uint64_t address, uint64_t super, uint64_t first) {
    if (address == kHdf5NoAddress) return {};
    const uint64_t blocks = Blocks(super);
    const uint64_t bits = blocks * ((Pages(super) + 7) / 8);
    if (blocks > static_cast<uint64_t>(file_.size()) || bits > static_cast<uint64_t>(file_.size()))
      return Misfit(address);
    CKMAP_ASSIGN_OR_RETURN(const std::string block,
                           ReadBlock(address, "EASB", kPrefix + offset_bytes_ + bits + blocks * 8 + 4));
    const std::string_view pages =
        std::string_view(block).substr(static_cast<size_t>(kPrefix + offset_bytes_), static_cast<size_t>(bits));
    Hdf5Bytes in(block);
    in.Skip(static_cast<size_t>(kPrefix + offset_bytes_ + bits));
    for (uint64_t i = 0; i < blocks; ++i, first += BlockEntries(super)) {
      const Paged paged{pages, i * Pages(super)};
      CKMAP_RETURN_IF_ERROR(ReadDataBlock(in.U64(), super, first, paged));
    }
    return {};
  }

  // Which pages of a block were written: bits from `first` on.
  struct Paged {
    std::string_view bits;
    uint64_t first = 0;
  };

  Result<void> ReadDataBlock(uint64_t address, uint64_t super, uint64_t first, const Paged& paged) {
    if (address == kHdf5NoAddress) return {};
    const uint64_t count = BlockEntries(super);
    if (count > static_cast<uint64_t>(file_.size()) / entries_.width()) return Misfit(address);
    const uint64_t prefix = kPrefix + offset_bytes_;
    const uint64_t pages = Pages(super);
    if (pages == 0) {
      CKMAP_ASSIGN_OR_RETURN(const std::string block,
                             ReadBlock(address, "EADB", prefix + count * entries_.width() + 4));
      return entries_.AddRun(std::string_view(block).substr(static_cast<size_t>(prefix)), first, count);
    }
    CKMAP_RETURN_IF_ERROR(ReadBlock(address, "EADB", prefix + 4));
    const uint64_t page_bytes = page_ * entries_.width() + 4;
    for (uint64_t p = 0; p < pages; ++p) {
      if ((paged.first + p) / 8 >= paged.bits.size()) return Misfit(address);
      if (!BitSet(paged.bits, paged.first + p)) continue;
      CKMAP_ASSIGN_OR_RETURN(const std::string bytes,
                             file_.Read(address + prefix + 4 + p * page_bytes, page_bytes, kIndex));
      CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, kIndex));
      CKMAP_RETURN_IF_ERROR(entries_.AddRun(bytes, first + p * page_, page_));
    }
    return {};
  }

  static constexpr uint64_t kPrefix = 14;  // magic, version, kind, address of the header

  Hdf5File& file_;
  uint64_t address_;
  Hdf5Chunks& chunks_;
  EntryOrder order_;
  ArrayEntries entries_;
  uint8_t client_ = 0;
  uint64_t in_index_ = 0;
  uint64_t block_least_ = 0;
  uint64_t used_ = 0;
  uint64_t offset_bytes_ = 0;
  uint64_t page_ = 0;
  uint64_t supers_ = 0;
  uint64_t direct_supers_ = 0;
};

}  // namespace

Result<void> ReadHdf5Implicit(Hdf5File& file, uint64_t address, Hdf5Chunks& chunks) {
  const EntryOrder order(chunks);
  if (!order.endless().empty() || !chunks.filters.empty()) return Misfit(address);
  if (order.total() > static_cast<uint64_t>(file.size() / chunks.chunk_bytes)) {
    return BadHdf5("more chunks than the file has room for (is it cut short?)");
  }
  const auto bytes = static_cast<uint64_t>(chunks.chunk_bytes);
  for (uint64_t i = 0; i < order.total(); ++i) {
    const auto number = order.Chunk(i);
    if (number) CKMAP_RETURN_IF_ERROR(AddHdf5Chunk(file, *number, {address + i * bytes, bytes, 0}, chunks));
  }
  return {};
}

Result<void> ReadHdf5FixedArray(Hdf5File& file, uint64_t address, Hdf5Chunks& chunks) {
  CKMAP_ASSIGN_OR_RETURN(const std::string head, file.Read(address, 28, kIndex));
  Hdf5Bytes in(head);
  if (in.Take(4) != "FAHD" || in.U8() != 0) return BadHdf5(address, "no index of chunks");
  CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(head, kIndex));
  const EntryOrder order(chunks);
  ArrayEntries entries(file, chunks, order);
  const bool filtered = in.U8() == 1;
  const uint64_t width = in.U8();
  const uint8_t page_bits = in.U8();
  const uint64_t count = in.U64();
  const uint64_t block = in.U64();
  if (!entries.Fits(filtered, width) || !order.endless().empty() || count != order.total() || page_bits > 30)
    return Misfit(address);
  if (block == kHdf5NoAddress) return {};  // nothing is stored
  if (count > static_cast<uint64_t>(file.size()) / width)
    return BadHdf5(address, "an index of chunks longer than the file");
  const uint64_t page = uint64_t{1} << page_bits;
  const uint64_t pages = count > page ? (count + page - 1) / page : 0;  // 0: all entries stand in the block
  const uint64_t bitmap = (pages + 7) / 8;
  const uint64_t prefix = 14 + bitmap;
  CKMAP_ASSIGN_OR_RETURN(const std::string first,
                         file.Read(block, prefix + (pages == 0 ? count * width : 0) + 4, kIndex));
  if (first.substr(0, 4) != "FADB") return BadHdf5(block, "no index of chunks");
  CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(first, kIndex));
  if (pages == 0) return entries.AddRun(std::string_view(first).substr(static_cast<size_t>(prefix)), 0, count);
  for (uint64_t p = 0; p < pages; ++p) {
    if (!BitSet(std::string_view(first).substr(14), p)) continue;
    const uint64_t here = std::min(page, count - p * page);
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes,
                           file.Read(block + prefix + 4 + p * (page * width + 4), here * width + 4, kIndex));
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, kIndex));
    CKMAP_RETURN_IF_ERROR(entries.AddRun(bytes, p * page, here));
  }
  return {};
}

Result<void> ReadHdf5GrowingArray(Hdf5File& file, uint64_t address, Hdf5Chunks& chunks) {
  return GrowingArray(file, address, chunks).Read();
}

Result<void> ReadHdf5ChunkTree2(Hdf5File& file, uint64_t address, Hdf5Chunks& chunks) {
  const bool filtered = !chunks.filters.empty();
  const Hdf5Tree2Kind kind{static_cast<uint8_t>(filtered ? 11 : 10), "a tree of chunks"};
  const size_t offsets = 8 * chunks.shape.size();
  const EntryOrder order(chunks);
  return VisitHdf5Tree2(file, address, kind, offsets + (filtered ? 13 : 8), offsets + (filtered ? 20 : 8),
                        [&](std::string_view record) -> Result<void> {
                          Hdf5Bytes in(record);
                          Hdf5Chunk place{in.U64(), static_cast<uint64_t>(chunks.chunk_bytes), 0};
                          if (filtered) {
                            place.stored = in.Number(record.size() - offsets - 12);
                            place.skipped = in.U32();
                          }
                          std::vector<uint64_t> at;
                          for (size_t axis = 0; axis < chunks.shape.size(); ++axis) at.push_back(in.U64());
                          const auto number = order.Number(at);
                          if (!number) return BadHdf5(address, "a chunk that lies outside of its dataset");
                          return AddHdf5Chunk(file, *number, place, chunks);
                        });
}

}  // namespace ckmap
