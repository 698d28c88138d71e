#include "runtime/formats/torch_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr std::string_view kPickleName = "/data.pkl";
constexpr int64_t kMaxSmallRecord = 64;  // byteorder
constexpr int64_t kMaxReceipt = int64_t{64} << 20;

Error Bad(std::string message) { return {ErrorCode::kMalformed, std::move(message)}; }

// Storages are the records PREFIX/data/KEY.
class ZipReferences : public TorchReferences {
 public:
  ZipReferences(const InputFile& file, const ZipArchive& archive, std::string prefix, bool byteswap,
                TorchCheckpoint& checkpoint)
      : file_(file),
        archive_(archive),
        prefix_(std::move(prefix)),
        byteswap_(byteswap),
        checkpoint_(checkpoint) {}

  Result<TorchReference> Resolve(const Pickle& pickle, PickleId value) override {
    CKMAP_ASSIGN_OR_RETURN(const TorchStorageId id, ParseTorchStorageId(pickle, value, 5));
    if (const auto known = known_.find(std::string(id.key)); known != known_.end()) {
      const TorchStorageRef& ref = known->second;
      if (ref.dtype != id.ref.dtype || ref.numel != id.ref.numel || ref.packed != id.ref.packed) {
        return Bad(fmt::format("storage \"{}\" is {} of {} here and {} of {} elsewhere",
                               EscapeText(id.key), id.ref.numel, DTypeName(id.ref.dtype), ref.numel,
                               DTypeName(ref.dtype)));
      }
      return TorchReference(ref);
    }
    const std::string record = fmt::format("{}/data/{}", prefix_, id.key);
    const auto member = archive_.Find(record);
    if (!member) return Bad(fmt::format("the archive has no record \"{}\"", EscapeText(record)));
    const int64_t size = archive_.members()[*member].size;
    if (!id.ref.packed && size != id.bytes) {
      return Bad(
          fmt::format("record \"{}\" has {} bytes, the pickle says {} elements of {} ({} bytes)",
                      EscapeText(record), size, id.ref.numel, DTypeName(id.ref.dtype), id.bytes));
    }
    TorchStorageRef ref = id.ref;
    ref.storage = checkpoint_.AddSource(ZipSource(file_, archive_, *member));
    known_.emplace(id.key, ref);
    return TorchReference(ref);
  }

  uint32_t AddBytes(std::string bytes) override {
    return checkpoint_.AddSource(MemorySource(std::move(bytes)));
  }
  bool byteswap() const override { return byteswap_; }

 private:
  const InputFile& file_;
  const ZipArchive& archive_;
  std::string prefix_;
  bool byteswap_;
  TorchCheckpoint& checkpoint_;
  std::unordered_map<std::string, TorchStorageRef> known_;
};

// The one top folder that has a data.pkl.
Result<std::string> FindPrefix(const ZipArchive& archive) {
  std::optional<std::string> prefix;
  for (const ZipMember& member : archive.members()) {
    if (!member.name.ends_with(kPickleName)) continue;
    const std::string folder = member.name.substr(0, member.name.size() - kPickleName.size());
    if (folder.find('/') != std::string::npos) continue;
    if (prefix) {
      return Bad(
          fmt::format("two checkpoints in one archive: \"{}\" and \"{}\" each have a data.pkl",
                      EscapeText(*prefix), EscapeText(folder)));
    }
    prefix = folder;
  }
  if (prefix) return *prefix;
  std::string first = archive.members().empty()
                          ? "no members"
                          : fmt::format("\"{}\"", EscapeText(archive.members().front().name));
  return Bad(
      fmt::format("a zip archive without FOLDER/data.pkl is no torch checkpoint (it begins with "
                  "{}; a checkpoint "
                  "inside of an archive must be unpacked first)",
                  first));
}

Result<bool> ReadByteOrder(const ZipArchive& archive, const std::string& prefix) {
  const auto member = archive.Find(prefix + "/byteorder");
  if (!member) return false;
  CKMAP_ASSIGN_OR_RETURN(const std::string order, archive.ReadWhole(*member, kMaxSmallRecord));
  if (order != "little" && order != "big") {
    return Bad(fmt::format("record \"byteorder\" says \"{}\"; it must say little or big",
                           EscapeText(order)));
  }
  return order == "big";
}

// What ckmap says of a file that it wrote. Not of the checkpoint: one that cannot be read is as none.
void ReadReceipt(const ZipArchive& archive, const std::string& prefix, TorchCheckpoint& checkpoint) {
  const auto member = archive.Find(prefix + "/extra/" + std::string(kReceiptKey));
  if (!member) return;
  Result<std::string> receipt = archive.ReadWhole(*member, kMaxReceipt);
  if (receipt && IsValidUtf8(*receipt)) checkpoint.AddMetadata(std::string(kReceiptKey), *std::move(receipt));
}

bool IsScript(const ZipArchive& archive, const std::string& prefix) {
  const std::string code = prefix + "/code/";
  return archive.Find(prefix + "/constants.pkl").has_value() ||
         std::any_of(archive.members().begin(), archive.members().end(),
                     [&](const ZipMember& member) { return member.name.starts_with(code); });
}

// The bytes of data.pkl; its CRC-32 must be right unless none is recorded.
Result<std::string> ReadPickleRecord(const ZipArchive& archive, size_t member,
                                     TorchCheckpoint& checkpoint) {
  CKMAP_ASSIGN_OR_RETURN(std::string bytes, archive.ReadWhole(member, kMaxPickleBytes));
  const bool recorded = archive.members()[member].crc != 0;
  if (auto status = archive.CheckCrc(member, std::as_bytes(std::span(bytes)));
      !status.ok() && recorded) {
    return std::move(status).error();
  }
  const auto unchecked =
      std::count_if(archive.members().begin(), archive.members().end(),
                    [](const ZipMember& info) { return info.crc == 0 && info.size > 0; });
  if (unchecked > 0) {
    checkpoint.AddWarning(
        fmt::format("{} without a CRC-32 (torch's set_crc32_options(False) or skip_data()): "
                    "damage would go unseen",
                    Plural(unchecked, "record")));
  }
  return bytes;
}

}  // namespace

Result<TorchArchive> ReadTorchArchive(const InputFile& file, int64_t begin, int64_t length,
                                      TorchCheckpoint& checkpoint, const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(const ZipArchive* archive, checkpoint.AddArchive(file, begin, length));
  CKMAP_ASSIGN_OR_RETURN(const std::string prefix, FindPrefix(*archive));
  CKMAP_ASSIGN_OR_RETURN(const bool big, ReadByteOrder(*archive, prefix));
  ReadReceipt(*archive, prefix, checkpoint);
  TorchArchive contents;
  contents.script = IsScript(*archive, prefix);
  const size_t member = *archive->Find(prefix + std::string(kPickleName));
  CKMAP_ASSIGN_OR_RETURN(std::string bytes, ReadPickleRecord(*archive, member, checkpoint));
  contents.bytes = std::make_unique<std::string>(std::move(bytes));
  const TorchAllowList allow(contents.script ? TorchAllowList::Scope::kScript
                                             : TorchAllowList::Scope::kCheckpoint,
                             options.skip_unknown_objects);
  CKMAP_ASSIGN_OR_RETURN(contents.pickle, Pickle::Read(*contents.bytes, allow));
  const Pickle& pickle = contents.pickle;
  if (pickle.end() != contents.bytes->size()) {
    return Bad(fmt::format("{} bytes follow the pickle in data.pkl",
                           contents.bytes->size() - pickle.end()));
  }
  const bool module = pickle.kind(pickle.root()) == PickleKind::kObject &&
                      MeaningOf(pickle.callable(pickle.root())).thing == TorchThing::kModuleClass;
  if (contents.script && !module) {
    return Bad("a TorchScript archive (code/, constants.pkl) whose data.pkl holds no module");
  }
  ZipReferences references(file, *archive, prefix, big, checkpoint);
  CKMAP_ASSIGN_OR_RETURN(contents.objects, TorchObjects::Interpret(pickle, references));
  return contents;
}

}  // namespace ckmap
