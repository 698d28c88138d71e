// Datasets cut into chunks: where the chunks are, and the elements behind their filters. Internal to hdf5.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/formats/hdf5/hdf5_file.h"
#include "runtime/formats/storage/storage_source.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

struct Hdf5Filter {
  uint16_t id = 0;
  std::vector<uint32_t> values;
};

// kMalformed for a description that is broken.
Result<std::vector<Hdf5Filter>> ParseHdf5Filters(std::string_view data);
// "" if all filters are undone here, otherwise what is not ("the filter 32000").
std::string UnknownHdf5Filter(const std::vector<Hdf5Filter>& filters);

struct Hdf5Chunk {
  uint64_t address = 0;
  uint64_t stored = 0;   // bytes in the file
  uint32_t skipped = 0;  // bit i: filter i was not applied
};

struct Hdf5Chunks {
  Shape shape;
  Shape most;   // as Hdf5Space says
  Shape chunk;  // sizes of a chunk
  int64_t element = 1;
  std::vector<Hdf5Filter> filters;
  std::map<uint64_t, Hdf5Chunk> places;  // by the chunk's number in the row-major grid
  std::string fill;                      // the element of what is not stored

  // Chunks along an axis, and bytes of one.
  int64_t Grid(size_t axis) const { return (shape[axis] + chunk[axis] - 1) / chunk[axis]; }
  int64_t chunk_bytes = 0;
  uint64_t stored = 0;  // bytes of all places together
};

// Adds the chunk of this number; kMalformed if it cannot be one.
Result<void> AddHdf5Chunk(const Hdf5File& file, uint64_t number, const Hdf5Chunk& place, Hdf5Chunks& chunks);
// The version 1 B-tree at `root` into chunks.places.
Result<void> ReadHdf5ChunkTree(Hdf5File& file, uint64_t root, Hdf5Chunks& chunks);
// The indexes of later libraries (hdf5_chunk_arrays.cc): all chunks side by side, a fixed array, an array that grows
// along one axis, and a version 2 B-tree where several axes grow.
Result<void> ReadHdf5Implicit(Hdf5File& file, uint64_t address, Hdf5Chunks& chunks);
Result<void> ReadHdf5FixedArray(Hdf5File& file, uint64_t address, Hdf5Chunks& chunks);
Result<void> ReadHdf5GrowingArray(Hdf5File& file, uint64_t address, Hdf5Chunks& chunks);
Result<void> ReadHdf5ChunkTree2(Hdf5File& file, uint64_t address, Hdf5Chunks& chunks);

// The chunks that were decoded last, of all datasets of a file.
class Hdf5ChunkCache {
 public:
  using Bytes = std::shared_ptr<const std::string>;
  using Key = std::pair<const void*, uint64_t>;
  Bytes Find(const Key& key);
  void Add(const Key& key, Bytes bytes);

 private:
  std::mutex lock_;
  std::vector<std::pair<Key, Bytes>> recent_;  // latest last
  size_t total_ = 0;
};

// Elements in row-major order. The file must outlive the source.
std::unique_ptr<StorageSource> Hdf5ChunkSource(const Hdf5File& file, Hdf5Chunks chunks,
                                               std::shared_ptr<Hdf5ChunkCache> cache);

// A storage of `count` equal elements.
std::unique_ptr<StorageSource> Hdf5FillSource(std::string element, int64_t count);

}  // namespace ckmap
