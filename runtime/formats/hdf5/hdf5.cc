#include "runtime/formats/hdf5/hdf5.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/formats/hdf5/hdf5_chunks.h"
#include "runtime/formats/hdf5/hdf5_dataset.h"
#include "runtime/formats/hdf5/hdf5_file.h"
#include "runtime/formats/hdf5/hdf5_heap.h"
#include "runtime/formats/hdf5/hdf5_object.h"
#include "runtime/formats/hdf5/hdf5_values.h"
#include "runtime/formats/storage/stored_checkpoint.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr std::string_view kMagic = "\x89HDF\r\n\x1a\n";
constexpr std::string_view kKerasWeights = "model.weights.h5";
constexpr std::string_view kKerasConfig = "config.json";
constexpr std::string_view kKerasMetadata = "metadata.json";
constexpr int64_t kMaxConfig = int64_t{1} << 20;
constexpr int kMaxGroupDepth = 200;
constexpr int64_t kMaxShownText = 4096;

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A StoredCheckpoint that owns the HDF5 file, which its storages refer to.
class Hdf5Checkpoint final : public StoredCheckpoint {
 public:
  explicit Hdf5Checkpoint(std::string_view format) : StoredCheckpoint(format) {}
  Hdf5File& SetFile(const InputFile& file, int64_t begin, int64_t length) {
    file_ = std::make_unique<Hdf5File>(file, begin, length);
    return *file_;
  }

 private:
  std::unique_ptr<Hdf5File> file_;
};

class TreeReader {
 public:
  TreeReader(Hdf5File& file, StoredCheckpoint& checkpoint)
      : file_(file), checkpoint_(checkpoint), values_(file), cache_(std::make_shared<Hdf5ChunkCache>()) {}

  Result<void> Read() {
    CKMAP_ASSIGN_OR_RETURN(const uint64_t root, ReadSuperblock());
    waiting_.push_back({root, "", 0});
    while (!waiting_.empty()) {
      const Object object = std::move(waiting_.back());
      waiting_.pop_back();
      if (auto read = ReadObject(object); !read) {
        if (object.path.empty()) return read;
        return std::move(read).error().Context(fmt::format("object {}", QuoteName(object.path)));
      }
    }
    return {};
  }

 private:
  struct Object {
    uint64_t address;
    std::string path;  // "" for the root
    int depth;
  };

  // Gives the address of the root group's header.
  Result<uint64_t> ReadSuperblock() {
    CKMAP_ASSIGN_OR_RETURN(const std::string head, file_.Read(0, 9, "the superblock"));
    if (!head.starts_with(kMagic)) return BadHdf5("is no HDF5 file");
    const auto version = static_cast<uint8_t>(head[8]);
    if (version > 3) return BadHdf5(fmt::format("is HDF5 with a superblock of version {}; 0 to 3 are read", version));
    const bool modern = version >= 2;
    const uint64_t size = modern ? 48 : version == 1 ? 100 : 96;
    CKMAP_ASSIGN_OR_RETURN(const std::string bytes, file_.Read(0, size, "the superblock"));
    Hdf5Bytes in(bytes);
    in.Skip(modern ? 9 : 13);
    const uint8_t offset_bytes = in.U8();
    const uint8_t length_bytes = in.U8();
    if (offset_bytes != 8 || length_bytes != 8) {
      return BadHdf5(
          fmt::format("has addresses of {} and lengths of {} bytes; 8 and 8 are read", offset_bytes, length_bytes));
    }
    if (modern) CKMAP_RETURN_IF_ERROR(CheckHdf5Sum(bytes, "the superblock"));
    if (!modern) in.Skip(1);
    Hdf5TreeRanks ranks;
    if (!modern) {
      ranks.leaf = in.U16();
      ranks.group = in.U16();
    }
    const uint32_t flags = modern ? in.U8() : in.U32();
    if (flags > 7) return BadHdf5(fmt::format("has a superblock with the unknown flags {:#x}", flags));
    if (version == 1) {
      ranks.chunk = in.U16();
      in.Skip(2);
    }
    CKMAP_RETURN_IF_ERROR(SetTreeRanks(ranks));
    const uint64_t base = in.U64();
    const uint64_t extension = in.U64();  // where the versions before had the space that is free, which was never used
    const uint64_t end = in.U64();
    if (!modern && extension != kHdf5NoAddress)
      return BadHdf5("has a superblock that lists free space, which its version has not");
    if (base != 0) return BadHdf5("has a base address that is not its beginning");
    if (end > static_cast<uint64_t>(file_.size())) {
      return BadHdf5(fmt::format("should have {} bytes, but has {} (is it cut short?)", end, file_.size()));
    }
    file_.EndAt(static_cast<int64_t>(end));
    if (modern && extension != kHdf5NoAddress) CKMAP_RETURN_IF_ERROR(ReadExtension(extension));
    if (modern) return in.U64();
    if (bytes[9] != 0 || bytes[10] != 0 || bytes[12] != 0) return BadHdf5("has parts of unknown versions");
    if (in.U64() != kHdf5NoAddress) return BadHdf5("is one of several files (it has a driver's block)");
    in.Skip(8);  // the name of the root
    const uint64_t root = in.U64();
    if (const uint32_t kind = in.U32(); kind > 1)
      return BadHdf5(fmt::format("has a root of the unknown kind {}", kind));
    return root;
  }

  Result<void> SetTreeRanks(const Hdf5TreeRanks& ranks) {
    if (ranks.leaf == 0 || ranks.group == 0 || ranks.chunk == 0) return BadHdf5("has trees whose nodes have no room");
    file_.SetTreeRanks(ranks);
    return {};
  }

  // What later superblocks say in an object of their own.
  Result<void> ReadExtension(uint64_t address) {
    CKMAP_ASSIGN_OR_RETURN(const std::vector<Hdf5Message> messages, ReadHdf5Object(file_, address));
    for (const Hdf5Message& message : messages) {
      if (message.type == kHdf5DriverInfo) return BadHdf5("is one of several files (it has a driver's block)");
      if (message.type != kHdf5TreeRanks) continue;
      Hdf5Bytes in(message.data);
      if (in.U8() != 0) return BadHdf5("has an extension of an unknown version");
      Hdf5TreeRanks ranks;
      ranks.chunk = in.U16();
      ranks.group = in.U16();
      ranks.leaf = in.U16();
      CKMAP_RETURN_IF_ERROR(SetTreeRanks(ranks));
    }
    return {};
  }

  Result<void> ReadObject(const Object& object) {
    if (const auto seen = seen_.find(object.address); seen != seen_.end()) return AddAlias(object, seen->second);
    CKMAP_ASSIGN_OR_RETURN(const std::vector<Hdf5Message> messages, ReadHdf5Object(file_, object.address));
    CKMAP_RETURN_IF_ERROR(ReadAttributes(object, messages));
    CKMAP_ASSIGN_OR_RETURN(std::optional<Hdf5Dataset> dataset, ReadHdf5Dataset(file_, messages, cache_));
    const auto has = [&messages](uint16_t type) {
      return std::any_of(messages.begin(), messages.end(), [type](const Hdf5Message& m) { return m.type == type; });
    };
    const bool group = has(kHdf5SymbolTable) || has(kHdf5LinkInfo);
    if (dataset && group) return BadHdf5("is both a dataset and a group");
    seen_.emplace(object.address, dataset ? object.path : "");
    if (dataset) {
      if (object.path.empty()) return BadHdf5("a dataset in place of the root group");
      return AddDataset(object, *std::move(dataset));
    }
    if (!group) {
      if (!has(kHdf5Datatype) || has(kHdf5Dataspace) || has(kHdf5Layout) || object.path.empty())
        return BadHdf5("is neither a dataset nor a group");
      checkpoint_.AddOther({object.path, "type", {}});  // a committed datatype
      return {};
    }
    if (object.depth == kMaxGroupDepth) return BadHdf5("groups are nested too deep");
    CKMAP_ASSIGN_OR_RETURN(std::vector<Hdf5LinkTo> links, ReadHdf5Links(file_, messages));
    std::sort(links.begin(), links.end(), [](const Hdf5LinkTo& a, const Hdf5LinkTo& b) { return a.name > b.name; });
    for (size_t i = 0; i < links.size(); ++i) {  // from the last to the first: the stack turns them round
      if (i > 0 && links[i].name == links[i - 1].name)
        return BadHdf5(fmt::format("a group with two members {}", QuoteName(links[i].name)));
      std::string path = object.path.empty() ? links[i].name : object.path + "/" + links[i].name;
      if (path.size() > kMaxTensorName) return BadHdf5("a path that is too long");
      if (links[i].address == kHdf5NoAddress) {
        checkpoint_.AddOther({std::move(path), "link", {}});
      } else {
        waiting_.push_back({links[i].address, std::move(path), object.depth + 1});
      }
    }
    return {};
  }

  // An object that was reached before by another path: a tensor of the same storage, or a group, which is not
  // entered twice.
  Result<void> AddAlias(const Object& object, const std::string& first) {
    const auto index = checkpoint_.manifest().Find(first);
    if (first.empty() || !index) {
      checkpoint_.AddOther({object.path, "link", {}});
      return {};
    }
    TensorInfo info = checkpoint_.manifest()[*index];
    info.name = object.path;
    return Check(checkpoint_.AddTensor(std::move(info), checkpoint_.layout(*index)), object.path);
  }

  static Result<void> Check(bool added, std::string_view path) {
    return added ? Result<void>() : BadHdf5(fmt::format("the path {} is there twice", QuoteName(path)));
  }

  Result<void> AddDataset(const Object& object, Hdf5Dataset dataset) {
    if (const std::string problem = TensorNameProblem(object.path); !problem.empty()) return BadHdf5(problem);
    const bool number = dataset.type.kind == Hdf5Type::Kind::kNumber;
    if (dataset.space.null) {
      checkpoint_.AddOther({object.path, "none", {}});
      return {};
    }
    if (dataset.unreadable.empty() && !number) return AddText(object, dataset);
    TensorInfo info;
    info.name = object.path;
    info.shape = dataset.space.shape;
    info.dtype = number ? dataset.type.dtype : DType::kAny;
    info.unreadable = dataset.unreadable;
    if (!NumBytes(info.shape, number ? info.dtype : DType::kU8))
      return BadHdf5(fmt::format("{} is too large", FormatShape(info.shape)));
    const bool swap = dataset.type.big_endian && dataset.type.size > 1;
    if (!info.unreadable.empty()) return Check(checkpoint_.AddUnreadable(std::move(info)), object.path);
    return Check(checkpoint_.AddDense(std::move(info), std::move(dataset.storage), swap), object.path);
  }

  Result<void> AddText(const Object& object, const Hdf5Dataset& dataset) {
    OtherEntry entry{.name = object.path, .kind = "array of text", .value = {}};
    if (dataset.space.shape.empty() && dataset.storage->bytes() <= kMaxShownText) {
      std::string data(static_cast<size_t>(dataset.storage->bytes()), '\0');
      CKMAP_RETURN_IF_ERROR(dataset.storage->Read(0, std::as_writable_bytes(std::span(data))));
      CKMAP_ASSIGN_OR_RETURN(auto text, values_.Text(dataset.type, dataset.space, data));
      entry.kind = "str";
      if (text) entry.value = *std::move(text);
    }
    checkpoint_.AddOther(std::move(entry));
    return {};
  }

  Result<void> ReadAttributes(const Object& object, const std::vector<Hdf5Message>& messages) {
    for (const Hdf5Message& message : messages) {
      if (message.shared) continue;
      if (message.type == kHdf5AttributeInfo) CKMAP_RETURN_IF_ERROR(ReadAttributeHeap(object, message.data));
      if (message.type == kHdf5Attribute) CKMAP_RETURN_IF_ERROR(AddAttribute(object, message.data));
    }
    return {};
  }

  Result<void> AddAttribute(const Object& object, std::string_view message) {
    CKMAP_ASSIGN_OR_RETURN(std::optional<Hdf5NamedValue> value, values_.Attribute(message));
    if (!value) return {};
    std::string key = object.path.empty() ? std::move(value->name) : object.path + "@" + value->name;
    checkpoint_.AddMetadata(std::move(key), std::move(value->value));
    return {};
  }

  Result<void> ReadAttributeHeap(const Object& object, std::string_view data) {
    Hdf5Bytes in(data);
    const uint8_t version = in.U8();
    if ((in.U8() & 1) != 0) in.Skip(2);
    const uint64_t heap = in.U64();
    const uint64_t tree = in.U64();
    if (version != 0 || in.bad())
      return BadHdf5("a description of attributes that is cut short or of an unknown version");
    if (heap == kHdf5NoAddress) return {};
    return VisitHdf5Heap(file_, heap, tree, kHdf5AttributeNames,
                         [&](std::string_view message) { return AddAttribute(object, message); });
  }

  Hdf5File& file_;
  StoredCheckpoint& checkpoint_;
  Hdf5Values values_;
  std::shared_ptr<Hdf5ChunkCache> cache_;
  std::vector<Object> waiting_;
  std::unordered_map<uint64_t, std::string> seen_;  // datasets by their first path, groups without
};

Result<void> ReadKeras(const InputFile& file, Hdf5Checkpoint& checkpoint) {
  CKMAP_ASSIGN_OR_RETURN(const ZipArchive* archive, checkpoint.AddArchive(file, 0, file.size()));
  for (const ZipMember& other : archive->members()) {
    const bool known = other.name == kKerasWeights || other.name == kKerasConfig || other.name == kKerasMetadata ||
                       other.name.starts_with("assets/");
    if (!known) return BadHdf5(fmt::format("an archive of Keras with the member \"{}\"", EscapeText(other.name)));
  }
  const auto member = archive->Find(kKerasWeights);
  if (!member) return BadHdf5(fmt::format("an archive of Keras without {}", kKerasWeights));
  if (const auto config = archive->Find(kKerasConfig); config && archive->members()[*config].size <= kMaxConfig) {
    CKMAP_ASSIGN_OR_RETURN(std::string text, archive->ReadWhole(*config, kMaxConfig));
    CKMAP_RETURN_IF_ERROR(archive->CheckCrc(*config, std::as_bytes(std::span(text))));
    checkpoint.AddMetadata("config", std::move(text));
  }
  const ZipMember& weights = archive->members()[*member];
  if (weights.deflated)
    return BadHdf5(fmt::format("{} is compressed in the archive; unpack it and give it itself", kKerasWeights));
  CKMAP_RETURN_IF_ERROR(archive->VerifyCrc(*member));
  return TreeReader(checkpoint.SetFile(file, weights.data_offset, weights.size), checkpoint).Read();
}

Result<void> ReadPlain(const InputFile& file, Hdf5Checkpoint& checkpoint) {
  return TreeReader(checkpoint.SetFile(file, 0, file.size()), checkpoint).Read();
}

Result<std::unique_ptr<Checkpoint>> Open(InputFile opened, std::string_view format,
                                         Result<void> (*read)(const InputFile&, Hdf5Checkpoint&)) {
  auto checkpoint = std::make_unique<Hdf5Checkpoint>(format);
  const InputFile& file = checkpoint->AddFile(std::move(opened));
  if (auto status = read(file, *checkpoint); !status) return std::move(status).error().Context(file.path());
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace

bool LooksLikeHdf5(std::span<const std::byte> head) { return AsText(head).starts_with(kMagic); }

bool LooksLikeKeras(std::span<const std::byte> head) {
  const std::string_view first = FirstZipMember(head);
  return first == kKerasMetadata || first == kKerasConfig || first == kKerasWeights;
}

Result<std::unique_ptr<Checkpoint>> OpenHdf5(InputFile file) { return Open(std::move(file), "hdf5", ReadPlain); }

Result<std::unique_ptr<Checkpoint>> OpenKeras(InputFile file) { return Open(std::move(file), "keras", ReadKeras); }

}  // namespace ckmap
