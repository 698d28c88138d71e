#include "runtime/formats/hdf5/hdf5_object.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "runtime/formats/hdf5/hdf5_heap.h"
#include "runtime/formats/hdf5/hdf5_tree1.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

// Of a message's flags.
constexpr uint8_t kShared = 0x02, kDoNotShare = 0x04, kFailIfUnknown = 0x08, kMarkIfUnknown = 0x10, kWasUnknown = 0x20,
                  kShareable = 0x40;
constexpr size_t kMaxBlocks = 1000;

struct Block {
  uint64_t address = 0;
  uint64_t length = 0;
};

class HeaderReader {
 public:
  HeaderReader(Hdf5File& file, uint64_t address) : file_(file), address_(address) {}

  Result<std::vector<Hdf5Message>> Read() {
    CKMAP_ASSIGN_OR_RETURN(const std::string start, file_.Read(address_, 4, "an object's header"));
    if (start == "OHDR") {
      CKMAP_RETURN_IF_ERROR(ReadVersion2());
    } else if (start[0] == 1 && start[1] == 0) {
      CKMAP_RETURN_IF_ERROR(ReadVersion1());
    } else {
      return Bad("is no object's header");
    }
    return std::move(messages_);
  }

 private:
  Error Bad(std::string_view what) const { return BadHdf5(address_, what); }

  Result<void> ReadVersion1() {
    CKMAP_ASSIGN_OR_RETURN(const std::string prefix, file_.Read(address_, 16, "an object's header"));
    Hdf5Bytes in(prefix);
    in.Skip(2);
    const uint16_t count = in.U16();
    in.Skip(4);
    const uint32_t size = in.U32();
    blocks_.push_back({address_ + 16, size});
    all_.push_back(blocks_.back());
    while (!blocks_.empty()) {
      const Block block = Next();
      CKMAP_ASSIGN_OR_RETURN(const std::string bytes,
                             file_.Read(block.address, block.length, "a block of an object's header"));
      Hdf5Bytes messages(bytes);
      while (messages.left() > 0) {
        if (messages.left() < 8) return Bad("an object's header with a gap");
        ++seen_;
        const uint16_t type = messages.U16();
        const uint16_t length = messages.U16();
        const uint8_t flags = messages.U8();
        messages.Skip(3);
        if (length % 8 != 0) return Bad("an object's header with a message that is not aligned");
        CKMAP_RETURN_IF_ERROR(Add(type, flags, messages, length, block.address));
      }
    }
    if (seen_ != count) return Bad(fmt::format("an object's header of {} messages that has {}", count, seen_));
    return {};
  }

  Result<void> ReadVersion2() {
    CKMAP_ASSIGN_OR_RETURN(const std::string prefix, file_.Read(address_, 6, "an object's header"));
    if (prefix[4] != 2) return Bad(fmt::format("an object's header of version {}; 1 and 2 are read", int{prefix[4]}));
    const auto flags = static_cast<uint8_t>(prefix[5]);
    const size_t size_bytes = size_t{1} << (flags & 3);
    const size_t fixed = 6 + ((flags & 0x20) != 0 ? 16 : 0) + ((flags & 0x10) != 0 ? 4 : 0);
    CKMAP_ASSIGN_OR_RETURN(const std::string sized, file_.Read(address_, fixed + size_bytes, "an object's header"));
    Hdf5Bytes in(sized);
    in.Skip(fixed);
    const uint64_t size = in.Number(size_bytes);
    if (size > static_cast<uint64_t>(file_.size())) return Bad("an object's header longer than the file");
    ordered_ = (flags & 4) != 0;
    const size_t begin = fixed + size_bytes;
    all_.push_back({address_, begin + size + 4});
    CKMAP_RETURN_IF_ERROR(ReadBlock2(Block(all_.back()), begin));
    while (!blocks_.empty()) {
      const Block block = Next();
      if (block.length < 8) return Bad("a block of an object's header of less than 8 bytes");
      CKMAP_ASSIGN_OR_RETURN(const std::string magic, file_.Read(block.address, 4, "a block of an object's header"));
      if (magic != "OCHK") return Bad("a block of an object's header that does not begin with OCHK");
      CKMAP_RETURN_IF_ERROR(ReadBlock2(block, 4));
    }
    return {};
  }

  // A block with its checksum; messages begin at `begin`.
  Result<void> ReadBlock2(const Block& block, size_t begin) {
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes,
                           file_.Read(block.address, block.length, "a block of an object's header"));
    CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, "an object's header"));
    Hdf5Bytes messages(std::string_view(bytes).substr(0, bytes.size() - 4));
    messages.Skip(begin);
    const size_t head = ordered_ ? 6 : 4;
    while (messages.left() >= head) {
      const uint16_t type = messages.U8();
      const uint16_t length = messages.U16();
      const uint8_t flags = messages.U8();
      if (ordered_) messages.Skip(2);
      CKMAP_RETURN_IF_ERROR(Add(type, flags, messages, length, block.address));
    }
    return {};
  }

  Result<void> Add(uint16_t type, uint8_t flags, Hdf5Bytes& in, uint16_t length, uint64_t block) {
    const uint64_t address = block + in.at();
    const std::string_view data = in.Take(length);
    if (in.bad()) return Bad("an object's header with a message that ends beyond its block");
    const bool marked = (flags & (kShared | kShareable)) != 0;
    if ((marked && !MayBeShared(type)) || ((flags & kShared) != 0 && (flags & kDoNotShare) != 0)) {
      return Bad("an object's header with a message that is shared and may not be");
    }
    if ((flags & kWasUnknown) != 0 && (flags & (kFailIfUnknown | kMarkIfUnknown)) != kMarkIfUnknown) {
      return Bad("an object's header with flags that contradict each other");
    }
    if (type == kHdf5Continuation) {
      Hdf5Bytes where(data);
      Block next;
      next.address = where.U64();
      next.length = where.U64();
      if (where.bad() || next.length == 0) return Bad("an object's header that goes on nowhere");
      for (const Block& other : all_) {
        if (next.address < other.address + other.length && other.address < next.address + next.length) {
          return Bad("an object's header that goes on in itself");
        }
      }
      if (all_.size() > kMaxBlocks) return Bad("an object's header in too many blocks");
      blocks_.push_back(next);
      all_.push_back(next);
    } else if (type != 0) {
      messages_.push_back({type, (flags & kShared) != 0, std::string(data), address});
    }
    return {};
  }

  static bool MayBeShared(uint16_t type) {
    constexpr uint16_t kTypes[] = {kHdf5Dataspace, kHdf5Datatype, kHdf5OldFill,
                                   kHdf5Fill,      kHdf5Filters,  kHdf5Attribute};
    return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
  }

  Block Next() {
    const Block block = blocks_.front();
    blocks_.pop_front();
    return block;
  }

  Hdf5File& file_;
  uint64_t address_;
  bool ordered_ = false;
  uint32_t seen_ = 0;
  std::deque<Block> blocks_;  // that wait to be read
  std::vector<Block> all_;
  std::vector<Hdf5Message> messages_;
};

class LinkReader {
 public:
  explicit LinkReader(Hdf5File& file) : file_(file) {}

  Result<std::vector<Hdf5LinkTo>> Read(const std::vector<Hdf5Message>& messages) {
    for (const Hdf5Message& message : messages) {
      if (message.shared) continue;
      if (message.type == kHdf5SymbolTable) CKMAP_RETURN_IF_ERROR(ReadSymbolTable(message.data));
      if (message.type == kHdf5Link) CKMAP_RETURN_IF_ERROR(ReadLink(message.data));
      if (message.type == kHdf5LinkInfo) CKMAP_RETURN_IF_ERROR(ReadLinkInfo(message.data));
    }
    return std::move(links_);
  }

 private:
  Result<void> Add(std::string_view name, uint64_t address) {
    std::string problem = TensorNameProblem(name);
    if (name.empty()) problem = "it is empty";
    if (name.find('/') != std::string_view::npos || name == "." || name == "..") problem = "it is a path";
    if (!problem.empty())
      return BadHdf5(fmt::format("a member of a group has the name {}: {}", QuoteName(name), problem));
    links_.push_back({std::string(name), address});
    return {};
  }

  Result<void> ReadLinkInfo(std::string_view data) {
    Hdf5Bytes in(data);
    in.Skip(1);
    const uint8_t flags = in.U8();
    if ((flags & 1) != 0) in.Skip(8);
    const uint64_t heap = in.U64();
    const uint64_t tree = in.U64();
    if (in.bad()) return BadHdf5("a group whose description is cut short");
    if (heap == kHdf5NoAddress) return {};
    return VisitHdf5Heap(file_, heap, tree, kHdf5LinkNames, [this](std::string_view link) { return ReadLink(link); });
  }

  Result<void> ReadLink(std::string_view data) {
    Hdf5Bytes in(data);
    const uint8_t version = in.U8();
    const uint8_t flags = in.U8();
    const uint8_t kind = (flags & 8) != 0 ? in.U8() : 0;
    if ((flags & 4) != 0) in.Skip(8);
    if ((flags & 16) != 0) in.Skip(1);
    const uint64_t length = in.Number(size_t{1} << (flags & 3));
    const std::string_view name = length > in.left() ? std::string_view() : in.Take(static_cast<size_t>(length));
    const uint64_t address = kind == 0 ? in.U64() : kHdf5NoAddress;
    if (version != 1 || in.bad() || name.empty()) return BadHdf5("a link that is cut short or of an unknown version");
    if (kind == 0 && address == kHdf5NoAddress) return BadHdf5("a link that leads nowhere");
    return Add(name, address);
  }

  Result<void> ReadSymbolTable(std::string_view data) {
    Hdf5Bytes in(data);
    const uint64_t tree = in.U64();
    const uint64_t heap = in.U64();
    if (in.bad()) return BadHdf5("a symbol table that is cut short");
    CKMAP_ASSIGN_OR_RETURN(const std::string head, file_.Read(heap, 32, "a local heap"));
    Hdf5Bytes heap_in(head);
    if (heap_in.Take(4) != "HEAP" || heap_in.U8() != 0) return BadHdf5(heap, "no local heap");
    heap_in.Skip(3);
    const uint64_t size = heap_in.U64();
    const uint64_t free = heap_in.U64();
    const uint64_t segment = heap_in.U64();
    CKMAP_ASSIGN_OR_RETURN(names_, file_.Read(segment, size, "the names of a group"));
    CKMAP_RETURN_IF_ERROR(CheckFreeBlocks(heap, free));
    return ReadTree(tree);
  }

  // The blocks of a local heap that are free: each begins with the place of the next and its own size.
  Result<void> CheckFreeBlocks(uint64_t heap, uint64_t free) const {
    constexpr uint64_t kLast = 1;
    for (size_t left = names_.size() / 16; free != kLast; --left) {
      const bool inside = free != 0 && free <= names_.size() && names_.size() - free >= 16;
      Hdf5Bytes block(inside ? std::string_view(names_).substr(static_cast<size_t>(free), 16) : std::string_view());
      const uint64_t next = block.U64();
      if (!inside || left == 0 || block.U64() > names_.size() - free)
        return BadHdf5(heap, "a local heap whose free blocks are not in it");
      free = next;
    }
    return {};
  }

  // The name at a place of the heap.
  Result<std::string_view> NameAt(uint64_t place, uint64_t address) const {
    if (place >= names_.size()) return BadHdf5(address, "a member whose name is beyond the heap");
    Hdf5Bytes name(std::string_view(names_).substr(static_cast<size_t>(place)));
    const std::string_view text = name.Text();
    if (name.bad()) return BadHdf5(address, "a member whose name has no end");
    return text;
  }

  Result<void> ReadTree(uint64_t root) {
    const Hdf5Tree1Kind kind{
        .type = 0, .key_bytes = 8, .most = 2 * uint64_t{file_.tree_ranks().group}, .name = "a group's tree"};
    return VisitHdf5Tree1(file_, root, kind, [this](const Hdf5Tree1Child& child) -> Result<void> {
      CKMAP_ASSIGN_OR_RETURN(const std::string_view below, NameAt(Hdf5Bytes(child.below).U64(), child.node));
      CKMAP_ASSIGN_OR_RETURN(const std::string_view last, NameAt(Hdf5Bytes(child.above).U64(), child.node));
      return child.leaf ? ReadSymbols(child.address, below, last) : Result<void>();
    });
  }

  // Members are found by their names: those of a node are behind `below`, up to `last`, in order. Others would be in the
  // file and not be found.
  Result<void> ReadSymbols(uint64_t address, std::string_view below, std::string_view last) {
    const uint64_t most = 2 * uint64_t{file_.tree_ranks().leaf};
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes, file_.Read(address, 8 + most * 40, "a group's members"));
    Hdf5Bytes entries(bytes);
    if (entries.Take(4) != "SNOD" || entries.U8() != 1) return BadHdf5(address, "no list of members");
    entries.Skip(1);
    const uint64_t count = entries.U16();
    if (count > most) return BadHdf5(address, fmt::format("a list of {} members, which has room for {}", count, most));
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t name_at = entries.U64();
      const uint64_t object = entries.U64();
      const uint32_t cached = entries.U32();
      entries.Skip(20);
      CKMAP_ASSIGN_OR_RETURN(const std::string_view text, NameAt(name_at, address));
      if (text <= below || text > last) return BadHdf5(address, "a member out of its place in the order of names");
      below = text;
      constexpr uint32_t kSoft = 2;
      if (cached > kSoft) return BadHdf5(address, fmt::format("a member of the unknown kind {}", cached));
      CKMAP_RETURN_IF_ERROR(Add(text, cached == kSoft ? kHdf5NoAddress : object));
    }
    return {};
  }

  Hdf5File& file_;
  std::string names_;
  std::vector<Hdf5LinkTo> links_;
};

}  // namespace

Result<std::vector<Hdf5Message>> ReadHdf5Object(Hdf5File& file, uint64_t address) {
  CKMAP_ASSIGN_OR_RETURN(std::vector<Hdf5Message> messages, HeaderReader(file, address).Read());
  for (Hdf5Message& message : messages) {
    if (!message.shared) continue;
    CKMAP_ASSIGN_OR_RETURN(std::optional<Hdf5Message> followed, FollowHdf5Message(file, message.type, message.data));
    if (followed) message = *std::move(followed);
  }
  return messages;
}

// "The Shared Message": https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
Result<std::optional<Hdf5Message>> FollowHdf5Message(Hdf5File& file, uint16_t type, std::string_view data) {
  constexpr uint8_t kInTable = 1, kCommitted = 2;
  Hdf5Bytes in(data);
  const uint8_t version = in.U8();
  const uint8_t kind = in.U8();
  if (version == 1) in.Skip(14);  // the rest of a symbol table's entry
  const uint64_t address = in.U64();
  const bool known = version == 1 || version == 2 || (version == 3 && (kind == kInTable || kind == kCommitted));
  if (!known || in.bad()) return BadHdf5("a message that is kept elsewhere, and does not say where");
  if (version == 3 && kind == kInTable) return std::optional<Hdf5Message>();
  CKMAP_ASSIGN_OR_RETURN(std::vector<Hdf5Message> messages, HeaderReader(file, address).Read());
  for (Hdf5Message& message : messages) {
    if (message.type == type && !message.shared) return std::optional<Hdf5Message>(std::move(message));
  }
  return BadHdf5(address, fmt::format("holds no message of type {}, which is said to be there", type));
}

Result<std::vector<Hdf5LinkTo>> ReadHdf5Links(Hdf5File& file, const std::vector<Hdf5Message>& messages) {
  return LinkReader(file).Read(messages);
}

Result<Hdf5Space> ParseHdf5Space(std::string_view data) {
  Hdf5Bytes in(data);
  const uint8_t version = in.U8();
  const uint8_t rank = in.U8();
  const bool has_most = (in.U8() & 1) != 0;
  Hdf5Space space;
  if (version == 1) {
    in.Skip(5);
  } else if (version == 2) {
    space.null = in.U8() == 2;
  } else {
    return BadHdf5(fmt::format("a dataspace of version {}; 1 and 2 are read", version));
  }
  if (rank > kMaxTensorRank) return BadHdf5(fmt::format("a dataspace of {} axes", rank));
  for (int i = 0; i < rank; ++i) {
    const uint64_t size = in.U64();
    if (size > uint64_t{kMaxTensorDim}) return BadHdf5(fmt::format("a dataspace with an axis of size {}", size));
    space.shape.push_back(static_cast<int64_t>(size));
  }
  space.most = space.shape;
  for (size_t axis = 0; has_most && axis < space.most.size(); ++axis) {
    const uint64_t most = in.U64();
    if (in.bad() || most < static_cast<uint64_t>(space.shape[axis]))
      return BadHdf5("a dataspace that is larger than it may grow");
    space.most[axis] = most > uint64_t{kMaxTensorDim} ? kHdf5Unlimited : static_cast<int64_t>(most);
  }
  if (in.bad()) return BadHdf5("a dataspace that is cut short");
  return space;
}

}  // namespace ckmap
