// The container of torch 0.1.10 to 1.5: five pickles (magic number, protocol version, system
// information, the object, the storages' keys), then each storage in the order of the keys as an
// int64 count and its elements. torch writes the elements little-endian on every machine.
#include <fmt/format.h>

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/torch/torch.h"
#include "runtime/formats/torch/torch_checkpoint.h"
#include "runtime/formats/torch/torch_stacked.h"

namespace ckmap {
namespace {

// 0x1950a86a20f9469cfc6c, as LONG1 writes it and as protocols 0 and 1 do.
constexpr std::string_view kMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr std::string_view kMagicText = "L119547037146038801333356L";
constexpr int64_t kProtocolVersion = 1001;

class LegacyReferences : public TorchReferences {
 public:
  explicit LegacyReferences(TorchCheckpoint& checkpoint) : checkpoint_(checkpoint) {}

  Result<TorchReference> Resolve(const Pickle& pickle, PickleId value) override {
    CKMAP_ASSIGN_OR_RETURN(const TorchStorageId id, ParseTorchStorageId(pickle, value, 6));
    const auto [at, fresh] = known_.emplace(id.key, id);
    TorchStorageId& storage = at->second;
    if (fresh) {
      storage.ref.storage = checkpoint_.AddSource(MemorySource({}));
    } else if (storage.ref.dtype != id.ref.dtype || storage.ref.numel != id.ref.numel) {
      return Malformed(fmt::format("storage \"{}\" has two types or sizes", EscapeText(id.key)));
    }
    TorchStorageRef ref = storage.ref;
    if (ref.dtype == DType::kAny) {
      ref.unreadable =
          "this container has no place for its type, and torch cannot read it back; save it anew "
          "with "
          "torch 1.6 or later in the zip format";
    }
    if (pickle.kind(id.view) != PickleKind::kNone) CKMAP_RETURN_IF_ERROR(ApplyView(pickle, id.view, ref));
    return TorchReference(std::move(ref));
  }

  uint32_t AddBytes(std::string bytes) override { return checkpoint_.AddSource(MemorySource(std::move(bytes))); }

  // The storages behind the pickles, which must be exactly those that the object refers to.
  Result<void> ReadStorages(const InputFile& file, StackedReader& reader, const Pickle& keys) {
    if (keys.kind(keys.root()) != PickleKind::kList) return Malformed("the list of storage keys is no list");
    std::unordered_set<std::string_view> seen;
    for (const PickleId item : keys.items(keys.root())) {
      if (keys.kind(item) != PickleKind::kText) return Malformed("a storage key that is no text");
      const std::string_view key = keys.text(item);
      const auto found = known_.find(std::string(key));
      if (found == known_.end())
        return Malformed(fmt::format("storage key \"{}\" belongs to no tensor", EscapeText(key)));
      if (!seen.insert(key).second) return Malformed(fmt::format("storage key \"{}\" is there twice", EscapeText(key)));
      const TorchStorageId& storage = found->second;
      CKMAP_ASSIGN_OR_RETURN(const auto count, reader.Number<int64_t>("a storage's element count"));
      if (count != storage.ref.numel) {
        return Malformed(fmt::format("storage \"{}\" has {} elements, the pickle says {}", EscapeText(key), count,
                                     storage.ref.numel));
      }
      CKMAP_ASSIGN_OR_RETURN(const int64_t begin,
                             reader.Skip(fmt::format("storage \"{}\"", EscapeText(key)), storage.bytes));
      checkpoint_.ReplaceSource(storage.ref.storage, FileSource(file, begin, storage.bytes));
    }
    if (seen.size() != known_.size()) {
      return Malformed(fmt::format("{} are listed, tensors refer to {}",
                                   Plural(static_cast<int64_t>(seen.size()), "storage"), known_.size()));
    }
    if (reader.left() != 0) return Malformed(fmt::format("{} bytes lie behind the last storage", reader.left()));
    return {};
  }

 private:
  // (key, offset, size), in elements: before torch 0.4 a storage could be a part of another.
  static Result<void> ApplyView(const Pickle& pickle, PickleId view, TorchStorageRef& ref) {
    const bool tuple = pickle.kind(view) == PickleKind::kTuple && pickle.items(view).size() == 3;
    if (!tuple || pickle.kind(pickle.items(view)[1]) != PickleKind::kInt ||
        pickle.kind(pickle.items(view)[2]) != PickleKind::kInt) {
      return Malformed("a storage view that is not (key, offset, size)");
    }
    const int64_t offset = pickle.integer(pickle.items(view)[1]);
    const int64_t size = pickle.integer(pickle.items(view)[2]);
    if (offset < 0 || size < 0 || offset > ref.numel || size > ref.numel - offset) {
      return Malformed(fmt::format("a view of {} elements from {} of a storage of {}", size, offset, ref.numel));
    }
    ref.first = offset;
    ref.numel = size;
    return {};
  }

  TorchCheckpoint& checkpoint_;
  std::unordered_map<std::string, TorchStorageId> known_;
};

Result<void> ReadLegacy(const InputFile& file, const OpenOptions& options, TorchCheckpoint& checkpoint) {
  StackedReader reader(file, 0, file.size(), options.skip_unknown_objects);
  CKMAP_ASSIGN_OR_RETURN(const StackedPickle magic, reader.Next("the magic number"));
  if (magic.pickle.kind(magic.pickle.root()) != PickleKind::kBigInt ||
      magic.pickle.text(magic.pickle.root()) != kMagic) {
    return Malformed("the file does not begin with torch's magic number");
  }
  CKMAP_ASSIGN_OR_RETURN(const StackedPickle version, reader.Next("the protocol version"));
  if (version.pickle.kind(version.pickle.root()) != PickleKind::kInt ||
      version.pickle.integer(version.pickle.root()) != kProtocolVersion) {
    return Malformed(fmt::format("the protocol version is not {}", kProtocolVersion));
  }
  CKMAP_ASSIGN_OR_RETURN(const StackedPickle system, reader.Next("the system information"));
  if (system.pickle.kind(system.pickle.root()) != PickleKind::kDict)
    return Malformed("the system information is no dict");
  CKMAP_ASSIGN_OR_RETURN(const StackedPickle object, reader.Next("the object"));
  CKMAP_ASSIGN_OR_RETURN(const StackedPickle keys, reader.Next("the storage keys"));
  LegacyReferences references(checkpoint);
  CKMAP_ASSIGN_OR_RETURN(const TorchObjects objects, TorchObjects::Interpret(object.pickle, references));
  CKMAP_RETURN_IF_ERROR(references.ReadStorages(file, reader, keys.pickle));
  return checkpoint.AddPickle(object.pickle, objects, options);
}

}  // namespace

bool LooksLikeTorchLegacy(std::span<const std::byte> head) {
  constexpr size_t kLongestStart = 40;
  const std::string_view text(reinterpret_cast<const char*>(head.data()), std::min(head.size(), kLongestStart));
  return text.starts_with(kMagicText) ||
         (text.starts_with('\x80') &&
          (text.find(kMagic) != std::string_view::npos || text.find(kMagicText) != std::string_view::npos));
}

Result<std::unique_ptr<Checkpoint>> OpenTorchLegacy(InputFile opened, const OpenOptions& options) {
  auto checkpoint = std::make_unique<TorchCheckpoint>("torch-legacy");
  const InputFile& file = checkpoint->AddFile(std::move(opened));
  if (auto status = ReadLegacy(file, options, *checkpoint); !status.ok()) {
    return std::move(status).error().Context(file.path());
  }
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace ckmap
