#include "runtime/formats/hdf5/hdf5_chunks.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "runtime/formats/hdf5/hdf5_filters.h"
#include "runtime/formats/hdf5/hdf5_tree1.h"

namespace ckmap {
namespace {

constexpr size_t kCacheBytes = size_t{32} << 20;

// The number in the grid of the chunk that begins at these coordinates; nullopt for what is no chunk's begin.
std::optional<uint64_t> ChunkNumber(const Hdf5Chunks& chunks, Hdf5Bytes& offsets) {
  uint64_t number = 0;
  for (size_t axis = 0; axis < chunks.shape.size(); ++axis) {
    const uint64_t at = offsets.U64();
    const auto size = static_cast<uint64_t>(chunks.chunk[axis]);
    if (at % size != 0 || at / size >= static_cast<uint64_t>(chunks.Grid(axis))) return std::nullopt;
    number = number * static_cast<uint64_t>(chunks.Grid(axis)) + at / size;
  }
  if (offsets.U64() != 0) return std::nullopt;
  return number;
}

// Whether the coordinates of a key of a tree of chunks are a chunk's begin, within the dataset or behind it.
bool BeginsChunk(const Hdf5Chunks& chunks, std::string_view key) {
  Hdf5Bytes offsets(key);
  offsets.Skip(8);
  for (const int64_t size : chunks.chunk) {
    if (offsets.U64() % static_cast<uint64_t>(size) != 0) return false;
  }
  return offsets.U64() % static_cast<uint64_t>(chunks.element) == 0;
}

class ChunkSource final : public StorageSource {
 public:
  ChunkSource(const Hdf5File& file, Hdf5Chunks chunks, std::shared_ptr<Hdf5ChunkCache> cache)
      : file_(file), chunks_(std::move(chunks)), cache_(std::move(cache)) {
    strides_ = RowMajorStrides(chunks_.shape);
    inner_ = RowMajorStrides(chunks_.chunk);
    while (pivot_ + 1 < chunks_.shape.size() && chunks_.shape[pivot_] == 1) ++pivot_;
  }

  int64_t bytes() const override { return *NumElements(chunks_.shape) * chunks_.element; }

  Result<void> Read(int64_t offset, std::span<std::byte> out) const override {
    if (out.empty()) return {};
    const Wanted wanted{offset, out};
    // Axes before the pivot have one index. Along it, only some chunks can hold a part of the range.
    const int64_t first = offset / chunks_.element / strides_[pivot_] / chunks_.chunk[pivot_];
    const int64_t last_byte = offset + static_cast<int64_t>(out.size()) - 1;
    const int64_t last = last_byte / chunks_.element / strides_[pivot_] / chunks_.chunk[pivot_];
    std::vector<int64_t> at(chunks_.shape.size(), 0);
    at[pivot_] = first;
    while (true) {
      CKMAP_RETURN_IF_ERROR(CopyChunk(at, wanted));
      size_t axis = at.size();
      while (axis-- > pivot_) {
        const int64_t end = axis == pivot_ ? last + 1 : chunks_.Grid(axis);
        if (++at[axis] < end) break;
        if (axis == pivot_) return {};
        at[axis] = 0;
      }
    }
  }

 private:
  struct Wanted {
    int64_t begin;
    std::span<std::byte> out;
    int64_t end() const { return begin + static_cast<int64_t>(out.size()); }
  };

  // Copies what of the chunk at these grid coordinates is in the wanted range, a row of it at a time.
  Result<void> CopyChunk(const std::vector<int64_t>& grid, const Wanted& wanted) const {
    const size_t rank = grid.size();
    std::vector<int64_t> size(rank);
    int64_t base = 0;  // of its first element, in bytes
    int64_t reach = 0;
    for (size_t axis = 0; axis < rank; ++axis) {
      const int64_t start = grid[axis] * chunks_.chunk[axis];
      size[axis] = std::min(chunks_.chunk[axis], chunks_.shape[axis] - start);
      base += start * strides_[axis] * chunks_.element;
      reach += (size[axis] - 1) * strides_[axis] * chunks_.element;
    }
    if (base >= wanted.end() || base + reach + chunks_.element <= wanted.begin) return {};
    Hdf5ChunkCache::Bytes decoded;
    const int64_t row_bytes = size[rank - 1] * chunks_.element;
    std::vector<int64_t> at(rank, 0);
    while (true) {
      int64_t to = base;
      int64_t from = 0;
      for (size_t axis = 0; axis + 1 < rank; ++axis) {
        to += at[axis] * strides_[axis] * chunks_.element;
        from += at[axis] * inner_[axis] * chunks_.element;
      }
      const int64_t begin = std::max(to, wanted.begin);
      const int64_t end = std::min(to + row_bytes, wanted.end());
      if (begin < end) {
        if (!decoded) {
          CKMAP_ASSIGN_OR_RETURN(decoded, Decoded(grid));
        }
        std::memcpy(wanted.out.data() + (begin - wanted.begin), decoded->data() + from + (begin - to),
                    static_cast<size_t>(end - begin));
      }
      size_t axis = rank - 1;
      while (axis-- > 0) {
        if (++at[axis] < size[axis]) break;
        at[axis] = 0;
      }
      if (axis == static_cast<size_t>(-1)) return {};
    }
  }

  Result<Hdf5ChunkCache::Bytes> Decoded(const std::vector<int64_t>& grid) const {
    uint64_t number = 0;
    for (size_t axis = 0; axis < grid.size(); ++axis) {
      number = number * static_cast<uint64_t>(chunks_.Grid(axis)) + static_cast<uint64_t>(grid[axis]);
    }
    const Hdf5ChunkCache::Key key{this, number};
    if (auto known = cache_->Find(key)) return known;
    std::string bytes;
    const auto place = chunks_.places.find(number);
    if (place == chunks_.places.end()) {
      bytes.reserve(static_cast<size_t>(chunks_.chunk_bytes));
      while (static_cast<int64_t>(bytes.size()) < chunks_.chunk_bytes) bytes += chunks_.fill;
    } else {
      bytes.resize(static_cast<size_t>(place->second.stored));
      CKMAP_RETURN_IF_ERROR(file_.ReadData(place->second.address, std::as_writable_bytes(std::span(bytes))));
      auto undone = UndoHdf5Filters(chunks_.filters, place->second.skipped, std::move(bytes), chunks_.chunk_bytes);
      if (!undone) {
        return std::move(undone).error().Context(
            fmt::format("{}: the chunk at byte {}", file_.file().path(), place->second.address));
      }
      bytes = *std::move(undone);
    }
    auto made = std::make_shared<const std::string>(std::move(bytes));
    cache_->Add(key, made);
    return made;
  }

  const Hdf5File& file_;
  Hdf5Chunks chunks_;
  std::shared_ptr<Hdf5ChunkCache> cache_;
  std::vector<int64_t> strides_;  // of the dataset, in elements
  std::vector<int64_t> inner_;    // of a chunk
  size_t pivot_ = 0;              // the first axis that has more than one index
};

class FillSource final : public StorageSource {
 public:
  FillSource(std::string element, int64_t count) : element_(std::move(element)), count_(count) {}
  int64_t bytes() const override { return count_ * static_cast<int64_t>(element_.size()); }
  Result<void> Read(int64_t offset, std::span<std::byte> out) const override {
    const auto size = static_cast<int64_t>(element_.size());
    const size_t seeds = std::min(out.size(), element_.size());
    for (size_t i = 0; i < seeds; ++i)
      out[i] = static_cast<std::byte>(element_[static_cast<size_t>((offset + static_cast<int64_t>(i)) % size)]);
    // What is there is repeated, twice as much each time.
    for (size_t done = seeds; done < out.size();) {
      const size_t count = std::min(done, out.size() - done);
      std::memcpy(out.data() + done, out.data(), count);
      done += count;
    }
    return {};
  }

 private:
  std::string element_;
  int64_t count_;
};

}  // namespace

Result<void> AddHdf5Chunk(const Hdf5File& file, uint64_t number, const Hdf5Chunk& place, Hdf5Chunks& chunks) {
  if (!file.Holds(place.address, place.stored)) {
    return BadHdf5(fmt::format("a chunk of {} bytes at byte {} ends beyond the file (is it cut short?)", place.stored,
                               place.address));
  }
  const auto most =
      static_cast<uint64_t>(chunks.chunk_bytes) * 2 + 1024;  // what filters may add to bytes that do not shrink
  if (place.stored > most)
    return BadHdf5(fmt::format("a chunk of {} elements' bytes that takes {}", chunks.chunk_bytes, place.stored));
  if (chunks.filters.empty() && place.stored != static_cast<uint64_t>(chunks.chunk_bytes)) {
    return BadHdf5(fmt::format("a chunk of {} bytes that should have {}", place.stored, chunks.chunk_bytes));
  }
  chunks.stored += place.stored;
  if (chunks.stored > static_cast<uint64_t>(file.size())) return BadHdf5("chunks that lie over one another");
  if (!chunks.places.emplace(number, place).second) return BadHdf5("a chunk that is there twice");
  return {};
}

Result<void> ReadHdf5ChunkTree(Hdf5File& file, uint64_t root, Hdf5Chunks& chunks) {
  const size_t key_bytes = 8 + 8 * (chunks.shape.size() + 1);
  const Hdf5Tree1Kind kind{
      .type = 1, .key_bytes = key_bytes, .most = 2 * uint64_t{file.tree_ranks().chunk}, .name = "a tree of chunks"};
  return VisitHdf5Tree1(file, root, kind, [&file, &chunks](const Hdf5Tree1Child& child) -> Result<void> {
    if (!BeginsChunk(chunks, child.below) || !BeginsChunk(chunks, child.above))
      return BadHdf5(child.node, "a key that is no chunk's begin");
    if (!child.leaf) return {};
    Hdf5Bytes key(child.below);
    Hdf5Chunk place;
    place.stored = key.U32();
    place.skipped = key.U32();
    place.address = child.address;
    const auto number = ChunkNumber(chunks, key);
    return number ? AddHdf5Chunk(file, *number, place, chunks)
                  : BadHdf5(child.node, "a chunk that lies outside of its dataset");
  });
}

Hdf5ChunkCache::Bytes Hdf5ChunkCache::Find(const Key& key) {
  const std::lock_guard guard(lock_);
  const auto found =
      std::find_if(recent_.begin(), recent_.end(), [&key](const auto& entry) { return entry.first == key; });
  if (found == recent_.end()) return nullptr;
  std::rotate(found, found + 1, recent_.end());
  return recent_.back().second;
}

void Hdf5ChunkCache::Add(const Key& key, Bytes bytes) {
  const std::lock_guard guard(lock_);
  total_ += bytes->size();
  recent_.emplace_back(key, std::move(bytes));
  constexpr size_t kMaxEntries = 1024;
  size_t dropped = 0;
  while (recent_.size() - dropped > 1 && (total_ > kCacheBytes || recent_.size() - dropped > kMaxEntries)) {
    total_ -= recent_[dropped++].second->size();
  }
  recent_.erase(recent_.begin(), recent_.begin() + static_cast<std::ptrdiff_t>(dropped));
}

std::unique_ptr<StorageSource> Hdf5ChunkSource(const Hdf5File& file, Hdf5Chunks chunks,
                                               std::shared_ptr<Hdf5ChunkCache> cache) {
  return std::make_unique<ChunkSource>(file, std::move(chunks), std::move(cache));
}

std::unique_ptr<StorageSource> Hdf5FillSource(std::string element, int64_t count) {
  return std::make_unique<FillSource>(std::move(element), count);
}

}  // namespace ckmap
