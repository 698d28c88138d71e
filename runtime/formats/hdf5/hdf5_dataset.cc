#include "runtime/formats/hdf5/hdf5_dataset.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr int64_t kMaxChunk = int64_t{64} << 20;
// Elements that the file does not store are all the fill value; a few are ordinary.
constexpr int64_t kMaxUnstored = int64_t{16} << 20;

const Hdf5Message* Find(const std::vector<Hdf5Message>& messages, Hdf5MessageType type) {
  const auto found =
      std::find_if(messages.begin(), messages.end(), [type](const Hdf5Message& m) { return m.type == type; });
  return found == messages.end() ? nullptr : &*found;
}

class DatasetReader {
 public:
  DatasetReader(Hdf5File& file, const std::vector<Hdf5Message>& messages, const std::shared_ptr<Hdf5ChunkCache>& cache)
      : file_(file), messages_(messages), cache_(cache) {}

  Result<std::optional<Hdf5Dataset>> Read() {
    const Hdf5Message* space = Find(messages_, kHdf5Dataspace);
    const Hdf5Message* type = Find(messages_, kHdf5Datatype);
    const Hdf5Message* layout = Find(messages_, kHdf5Layout);
    if (space == nullptr || type == nullptr || layout == nullptr) return std::optional<Hdf5Dataset>();
    for (const Hdf5Message& message : messages_) {
      const bool one = message.type == kHdf5Dataspace || message.type == kHdf5Datatype || message.type == kHdf5Layout ||
                       message.type == kHdf5Filters;
      if (one && Find(messages_, static_cast<Hdf5MessageType>(message.type)) != &message) {
        return BadHdf5(fmt::format("a dataset with two messages of type {}", message.type));
      }
    }
    if (space->shared || layout->shared)
      return BadHdf5("a dataset whose shape or layout is in the file's table of shared messages, which is not read");
    CKMAP_ASSIGN_OR_RETURN(set_.space, ParseHdf5Space(space->data));
    std::string refused;
    if (type->shared) {
      refused = "its datatype is in the file's table of shared messages, which is not read";
    } else {
      CKMAP_ASSIGN_OR_RETURN(set_.type, ParseHdf5Type(type->data));
      if (set_.type.kind == Hdf5Type::Kind::kOther)
        refused = fmt::format("its elements are {}, which have no counterpart here", set_.type.description);
    }
    const Hdf5Message* files = Find(messages_, kHdf5ExternalFiles);
    const bool outside = files != nullptr;
    if (outside) CKMAP_RETURN_IF_ERROR(CheckExternalFiles(files->data));
    if (refused.empty() && outside) refused = "its elements are in other files";
    const bool shared_fill = std::any_of(messages_.begin(), messages_.end(), [](const Hdf5Message& m) {
      return m.shared && (m.type == kHdf5Fill || m.type == kHdf5OldFill);
    });
    if (refused.empty() && shared_fill)
      refused = "its fill value is in the file's table of shared messages, which is not read";
    CKMAP_RETURN_IF_ERROR(ReadFill());
    // What is refused is looked through as well: the library refuses a file whose structure is damaged anywhere.
    if (!type->shared && !outside && !set_.space.null) CKMAP_RETURN_IF_ERROR(Open(*layout));
    if (!refused.empty()) set_.unreadable = std::move(refused);
    if (!set_.unreadable.empty()) set_.storage.reset();
    return std::optional<Hdf5Dataset>(std::move(set_));
  }

 private:
  Result<void> Open(const Hdf5Message& layout) {
    const auto count = NumElements(set_.space.shape);
    const int64_t size = set_.type.size;
    if (!count || *count > (int64_t{1} << 62) / size)
      return BadHdf5(fmt::format("{} is too large", FormatShape(set_.space.shape)));
    count_ = *count;
    bytes_ = count_ * size;
    Hdf5Bytes in(layout.data);
    const uint8_t version = in.U8();
    if (version < 3 || version > 5) {
      set_.unreadable = fmt::format("its layout is of version {}, which is not read", version);
      return {};
    }
    const uint8_t kind = in.U8();
    switch (kind) {
      case 0:
        return OpenCompact(in, layout);
      case 1:
        return OpenContiguous(in);
      case 2:
        return OpenChunked(in, version);
      default:
        if (kind > 3 && version < 5) return BadHdf5(fmt::format("a layout of the unknown kind {}", kind));
        set_.unreadable = kind == 3 ? "it is put together from other datasets (a virtual dataset)"
                                    : fmt::format("its layout is of the unknown kind {}", kind);
        return {};
    }
  }

  Result<void> OpenCompact(Hdf5Bytes& in, const Hdf5Message& layout) {
    const uint16_t size = in.U16();
    if (in.bad() || size > in.left() || size != bytes_) {
      return BadHdf5(fmt::format("{} bytes within an object's header, but the shape takes {}", size, bytes_));
    }
    set_.storage = FileSource(file_.file(), file_.position(layout.address + in.at()), bytes_);
    return {};
  }

  Result<void> OpenContiguous(Hdf5Bytes& in) {
    const uint64_t address = in.U64();
    const uint64_t size = in.U64();
    if (in.bad()) return BadHdf5("a layout that is cut short");
    if (address == kHdf5NoAddress) return OpenFill();
    if (size != static_cast<uint64_t>(bytes_))
      return BadHdf5(fmt::format("{} bytes are given, but the shape takes {}", size, bytes_));
    if (!file_.Holds(address, size)) {
      return BadHdf5(fmt::format("{} bytes from byte {} on end beyond the file, which has {} (is it cut short?)", size,
                                 address, file_.size()));
    }
    if (Find(messages_, kHdf5Filters) != nullptr) return BadHdf5("filters on a dataset that is not cut into chunks");
    set_.storage = FileSource(file_.file(), file_.position(address), bytes_);
    return {};
  }

  Result<void> OpenFill() {
    if (bytes_ > kMaxUnstored) {
      set_.unreadable = fmt::format("its elements ({}) are not stored in the file", FormatBytes(bytes_));
    } else {
      set_.storage = Hdf5FillSource(fill_, count_);
    }
    return {};
  }

  static Result<void> CheckExternalFiles(std::string_view data) {
    constexpr size_t kSlotBytes = 24;
    Hdf5Bytes in(data);
    const uint8_t version = in.U8();
    in.Skip(3);
    const uint16_t room = in.U16();
    const uint16_t used = in.U16();
    in.Skip(8);  // the names' heap
    if (version == 1 && !in.bad() && used > 0 && used <= room && used <= in.left() / kSlotBytes) return {};
    return BadHdf5("a list of external files that is none");
  }

  // An index of chunks, as the layout says it.
  struct Index {
    int kind = 0;  // 0: version 1 B-tree; else as in version 4 layouts
    uint64_t address = kHdf5NoAddress;
    uint64_t single_bytes = 0;  // of a single filtered chunk
    uint32_t single_skipped = 0;
    bool plain_edges = false;  // chunks that the shape cuts are not filtered
  };

  Result<void> OpenChunked(Hdf5Bytes& in, uint8_t version) {
    Hdf5Chunks chunks;
    chunks.shape = set_.space.shape;
    chunks.most = set_.space.most;
    chunks.element = set_.type.size;
    chunks.fill = fill_;
    CKMAP_ASSIGN_OR_RETURN(const Index index, version == 3 ? ReadLayout3(in, chunks) : ReadLayout4(in, chunks));
    if (const Hdf5Message* filters = Find(messages_, kHdf5Filters); filters != nullptr) {
      if (filters->shared)
        return BadHdf5("a dataset whose filters are in the file's table of shared messages, which is not read");
      CKMAP_ASSIGN_OR_RETURN(chunks.filters, ParseHdf5Filters(filters->data));
      if (const std::string unknown = UnknownHdf5Filter(chunks.filters); !unknown.empty()) {
        set_.unreadable = fmt::format("it went through {}, which is not undone here", unknown);
      }
    }
    if (chunks.chunk_bytes > kMaxChunk) {
      set_.unreadable = fmt::format("its chunks have {}, at most {} are read", FormatBytes(chunks.chunk_bytes),
                                    FormatBytes(kMaxChunk));
    }
    if (count_ == 0 || index.address == kHdf5NoAddress) return OpenFill();
    CKMAP_RETURN_IF_ERROR(ReadIndex(index, chunks));
    const int64_t stored = static_cast<int64_t>(chunks.places.size()) * chunks.chunk_bytes;
    if (bytes_ - stored > kMaxUnstored) {
      set_.unreadable =
          fmt::format("most of its elements ({}) are not stored in the file", FormatBytes(bytes_ - stored));
      return {};
    }
    if (index.plain_edges) LeaveEdgesPlain(chunks);
    set_.storage = Hdf5ChunkSource(file_, std::move(chunks), cache_);
    return {};
  }

  Result<void> SetChunk(const std::vector<uint64_t>& sizes, Hdf5Chunks& chunks) const {
    if (sizes.size() != chunks.shape.size() + 1 || chunks.shape.empty()) {
      return BadHdf5(fmt::format("chunks of {} axes in a dataset of {}", sizes.size() - 1, chunks.shape.size()));
    }
    if (sizes.back() != set_.type.size) return BadHdf5("chunks of elements of another size");
    for (size_t axis = 0; axis < chunks.shape.size(); ++axis) {
      if (sizes[axis] == 0 || sizes[axis] > uint64_t{kMaxTensorDim})
        return BadHdf5(fmt::format("chunks of {} along an axis", sizes[axis]));
      chunks.chunk.push_back(static_cast<int64_t>(sizes[axis]));
    }
    const auto count = NumElements(chunks.chunk);
    if (!count || *count > (int64_t{1} << 62) / chunks.element) return BadHdf5("chunks that are too large");
    chunks.chunk_bytes = *count * chunks.element;
    return {};
  }

  Result<Index> ReadLayout3(Hdf5Bytes& in, Hdf5Chunks& chunks) {
    const uint8_t rank = in.U8();
    Index index;
    index.address = in.U64();
    std::vector<uint64_t> sizes;
    for (int i = 0; i < rank; ++i) sizes.push_back(in.U32());
    if (in.bad() || rank == 0) return BadHdf5("a layout that is cut short");
    CKMAP_RETURN_IF_ERROR(SetChunk(sizes, chunks));
    return index;
  }

  Result<Index> ReadLayout4(Hdf5Bytes& in, Hdf5Chunks& chunks) {
    const uint8_t flags = in.U8();
    const uint8_t rank = in.U8();
    const uint8_t width = in.U8();
    if (width == 0 || width > 8 || rank == 0) return BadHdf5("a layout with sizes of no width");
    std::vector<uint64_t> sizes;
    for (int i = 0; i < rank; ++i) sizes.push_back(in.Number(width));
    Index index;
    index.plain_edges = (flags & 1) != 0;
    index.kind = in.U8();
    constexpr size_t kSettings[] = {0, 0, 0, 1, 5, 6};  // bytes before the address, by kind
    if (index.kind == 0 || static_cast<size_t>(index.kind) >= std::size(kSettings))
      return BadHdf5(fmt::format("chunks with an index of the unknown kind {}", index.kind));
    if (index.kind == 1 && (flags & 2) != 0) {
      index.single_bytes = in.U64();
      index.single_skipped = in.U32();
    }
    in.Skip(kSettings[index.kind]);
    index.address = in.U64();
    if (in.bad()) return BadHdf5("a layout that is cut short");
    CKMAP_RETURN_IF_ERROR(SetChunk(sizes, chunks));
    return index;
  }

  Result<void> ReadIndex(const Index& index, Hdf5Chunks& chunks) {
    switch (index.kind) {
      case 0:
        return ReadHdf5ChunkTree(file_, index.address, chunks);
      case 1:
        for (size_t axis = 0; axis < chunks.shape.size(); ++axis) {
          if (chunks.Grid(axis) != 1) return BadHdf5("a single chunk that is smaller than its dataset");
        }
        return AddHdf5Chunk(
            file_, 0,
            {index.address, index.single_bytes != 0 ? index.single_bytes : static_cast<uint64_t>(chunks.chunk_bytes),
             index.single_skipped},
            chunks);
      case 2:
        return ReadHdf5Implicit(file_, index.address, chunks);
      case 3:
        return ReadHdf5FixedArray(file_, index.address, chunks);
      case 4:
        return ReadHdf5GrowingArray(file_, index.address, chunks);
      default:
        return ReadHdf5ChunkTree2(file_, index.address, chunks);
    }
  }

  static void LeaveEdgesPlain(Hdf5Chunks& chunks) {
    for (auto& [number, place] : chunks.places) {
      uint64_t rest = number;
      for (size_t axis = chunks.shape.size(); axis-- > 0;) {
        const auto grid = static_cast<uint64_t>(chunks.Grid(axis));
        const auto at = static_cast<int64_t>(rest % grid);
        rest /= grid;
        if ((at + 1) * chunks.chunk[axis] > chunks.shape[axis]) place.skipped = ~uint32_t{0};
      }
    }
  }

  // The element where nothing is stored.
  Result<void> ReadFill() {
    fill_.assign(set_.type.size, '\0');
    std::string_view value;
    const Hdf5Message* fill = Find(messages_, kHdf5Fill);
    const Hdf5Message* old = Find(messages_, kHdf5OldFill);
    if (fill != nullptr && !fill->shared) {
      Hdf5Bytes in(fill->data);
      const uint8_t version = in.U8();
      if (version < 1 || version > 3)
        return BadHdf5(fmt::format("a fill value of version {}; 1 to 3 are read", version));
      bool given = false;
      if (version == 3) {
        constexpr uint8_t kUnknown = 0xc0, kUndefined = 0x10, kGiven = 0x20;
        const uint8_t flags = in.U8();
        if ((flags & kUnknown) != 0 || (flags & (kUndefined | kGiven)) == (kUndefined | kGiven))
          return BadHdf5("a fill value with unknown flags");
        given = (flags & kGiven) != 0;
      } else {
        in.Skip(2);
        given = in.U8() != 0 || version == 1;
      }
      const uint32_t size = given ? in.U32() : 0;
      const bool none = version < 3 && size == ~uint32_t{0};  // -1
      if (!none) value = in.Take(size);
      if (in.bad()) return BadHdf5("a fill value that is cut short");
    } else if (fill == nullptr && old != nullptr && !old->shared) {
      Hdf5Bytes in(old->data);
      value = in.Take(in.U32());
      if (in.bad()) return BadHdf5("a fill value that is cut short");
    }
    if (value.size() == fill_.size()) fill_ = std::string(value);
    return {};
  }

  Hdf5File& file_;
  const std::vector<Hdf5Message>& messages_;
  const std::shared_ptr<Hdf5ChunkCache>& cache_;
  Hdf5Dataset set_;
  int64_t count_ = 0;
  int64_t bytes_ = 0;
  std::string fill_;
};

}  // namespace

Result<std::optional<Hdf5Dataset>> ReadHdf5Dataset(Hdf5File& file, const std::vector<Hdf5Message>& messages,
                                                   const std::shared_ptr<Hdf5ChunkCache>& cache) {
  return DatasetReader(file, messages, cache).Read();
}

}  // namespace ckmap
