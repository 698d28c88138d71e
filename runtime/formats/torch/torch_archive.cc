#include "runtime/formats/torch/torch_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "runtime/base/malformed.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr std::string_view kPickleName = "/data.pkl";
constexpr int64_t kMaxSmallRecord = 256;              // byteorder, version, …
constexpr int64_t kMinVersion = 1, kMaxVersion = 10;  // caffe2/serialize/versions.h of torch 2.13
constexpr int64_t kMaxProgram = int64_t{64} << 20;    // bytes of a TorchScript archive's code/ and constants.pkl
constexpr int64_t kMaxReceipt = int64_t{64} << 20;

// Storages are the records PREFIX/data/KEY.
class ZipReferences : public TorchReferences {
 public:
  ZipReferences(const InputFile& file, const ZipArchive& archive, std::string prefix, bool byteswap,
                TorchCheckpoint& checkpoint)
      : file_(file), archive_(archive), prefix_(std::move(prefix)), byteswap_(byteswap), checkpoint_(checkpoint) {}

  Result<TorchReference> Resolve(const Pickle& pickle, PickleId value) override {
    CKMAP_ASSIGN_OR_RETURN(const TorchStorageId id, ParseTorchStorageId(pickle, value, 5));
    if (const auto known = known_.find(std::string(id.key)); known != known_.end()) {
      const TorchStorageRef& ref = known->second;
      if (ref.dtype != id.ref.dtype || ref.numel != id.ref.numel || ref.packed != id.ref.packed) {
        return Malformed(fmt::format("storage \"{}\" is {} of {} here and {} of {} elsewhere", EscapeText(id.key),
                                     id.ref.numel, DTypeName(id.ref.dtype), ref.numel, DTypeName(ref.dtype)));
      }
      return TorchReference(ref);
    }
    const std::string record = fmt::format("{}/data/{}", prefix_, id.key);
    const auto member = archive_.Find(record);
    if (!member) return Malformed(fmt::format("the archive has no record \"{}\"", EscapeText(record)));
    const int64_t size = archive_.members()[*member].size;
    if (!id.ref.packed && size != id.bytes) {
      return Malformed(fmt::format("record \"{}\" has {} bytes, the pickle says {} elements of {} ({} bytes)",
                                   EscapeText(record), size, id.ref.numel, DTypeName(id.ref.dtype), id.bytes));
    }
    TorchStorageRef ref = id.ref;
    ref.storage = checkpoint_.AddSource(ZipSource(file_, archive_, *member));
    known_.emplace(id.key, ref);
    return TorchReference(ref);
  }

  uint32_t AddBytes(std::string bytes) override { return checkpoint_.AddSource(MemorySource(std::move(bytes))); }
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
Result<std::string> FindPrefix(const ZipArchive& archive, const std::string& path) {
  std::optional<std::string> prefix;
  for (const ZipMember& member : archive.members()) {
    if (!member.name.ends_with(kPickleName)) continue;
    const std::string folder = member.name.substr(0, member.name.size() - kPickleName.size());
    if (folder.find('/') != std::string::npos) continue;
    if (prefix) {
      return Malformed(fmt::format("two checkpoints in one archive: \"{}\" and \"{}\" each have a data.pkl",
                                   EscapeText(*prefix), EscapeText(folder)));
    }
    prefix = folder;
  }
  if (prefix) return *prefix;
  // The largest member that is named as a checkpoint is what somebody put in here.
  constexpr std::array<std::string_view, 10> kEndings = {".ckpt", ".pt",  ".pth", ".bin",  ".safetensors",
                                                         ".npz",  ".pkl", ".h5",  ".onnx", ".tar"};
  const ZipMember* inner = nullptr;
  for (const ZipMember& member : archive.members()) {
    const bool fits = std::any_of(kEndings.begin(), kEndings.end(),
                                  [&](std::string_view ending) { return member.name.ends_with(ending); });
    if (fits && (inner == nullptr || member.size > inner->size)) inner = &member;
  }
  if (inner != nullptr) {
    return Malformed(
        fmt::format("is a zip archive, not a checkpoint of torch; unpack the checkpoint in it: unzip {} '{}'",
                    EscapeText(path), EscapeText(inner->name)));
  }
  std::string first =
      archive.members().empty() ? "no members" : fmt::format("\"{}\"", EscapeText(archive.members().front().name));
  return Malformed(
      fmt::format("a zip archive without FOLDER/data.pkl is no torch checkpoint (it begins with "
                  "{}; a checkpoint "
                  "inside of an archive must be unpacked first)",
                  first));
}

// A record in which torch says something of the file; nullopt: there is none.
Result<std::optional<std::string>> ReadSmallRecord(const ZipArchive& archive, const std::string& name) {
  const auto member = archive.Find(name);
  if (!member) return std::optional<std::string>();
  CKMAP_ASSIGN_OR_RETURN(std::string text, archive.ReadWhole(*member, kMaxSmallRecord));
  return std::optional<std::string>(std::move(text));
}

Result<bool> ReadByteOrder(const ZipArchive& archive, const std::string& prefix) {
  CKMAP_ASSIGN_OR_RETURN(const auto order, ReadSmallRecord(archive, prefix + "/byteorder"));
  if (order && *order != "little" && *order != "big") {
    return Malformed(fmt::format("record \"byteorder\" says \"{}\"; it must say little or big", EscapeText(*order)));
  }
  return order == "big";
}

// An integer, with white space around it as text files have it.
std::optional<int64_t> ParseNumber(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return std::nullopt;
  text = text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The records in which torch says how it wrote the file. It refuses to read what it does not understand of them, and a
// later version may mean something else by the same records.
Result<void> CheckRecordsOfTorch(const ZipArchive& archive, const std::string& prefix) {
  CKMAP_ASSIGN_OR_RETURN(auto version, ReadSmallRecord(archive, prefix + "/.data/version"));
  if (!version) {
    CKMAP_ASSIGN_OR_RETURN(version, ReadSmallRecord(archive, prefix + "/version"));
  }
  if (!version) return Malformed("the archive has no record \"version\", which every checkpoint of torch has");
  const auto number = ParseNumber(*version);
  if (!number || *number < kMinVersion || *number > kMaxVersion) {
    return Malformed(fmt::format("record \"version\" says \"{}\"; versions {} to {} are known", EscapeText(*version),
                                 kMinVersion, kMaxVersion));
  }
  CKMAP_ASSIGN_OR_RETURN(const auto alignment, ReadSmallRecord(archive, prefix + "/.storage_alignment"));
  if (alignment && !ParseNumber(*alignment)) {
    return Malformed(
        fmt::format("record \".storage_alignment\" says \"{}\", which is no number", EscapeText(*alignment)));
  }
  CKMAP_ASSIGN_OR_RETURN(const auto id, ReadSmallRecord(archive, prefix + "/.data/serialization_id"));
  if (id && !IsValidUtf8(*id)) return Malformed("record \".data/serialization_id\" is not UTF-8");
  return {};
}

// What ckmap says of a file that it wrote. Not of the checkpoint: one that cannot be read is as none.
void ReadReceipt(const ZipArchive& archive, const std::string& prefix, TorchCheckpoint& checkpoint) {
  const auto member = archive.Find(prefix + "/extra/" + std::string(kReceiptKey));
  if (!member) return;
  Result<std::string> receipt = archive.ReadWhole(*member, kMaxReceipt);
  if (receipt && IsValidUtf8(*receipt)) checkpoint.AddMetadata(std::string(kReceiptKey), *std::move(receipt));
}

// Whether the member is of a TorchScript archive's program.
bool IsProgram(const ZipMember& member, const std::string& prefix) {
  return member.name == prefix + "/constants.pkl" || member.name.starts_with(prefix + "/code/");
}

// The program of a TorchScript archive is not run here, but where it is damaged the file is.
Result<void> CheckProgram(const ZipArchive& archive, const std::string& prefix) {
  int64_t left = kMaxProgram;
  for (size_t i = 0; i < archive.members().size(); ++i) {
    const ZipMember& member = archive.members()[i];
    const bool recorded = member.crc != 0;
    if (!recorded || !IsProgram(member, prefix)) continue;
    if (member.size > left)
      return Error(ErrorCode::kLimit, fmt::format("a TorchScript program of more than {} MiB", kMaxProgram >> 20));
    left -= member.size;
    CKMAP_RETURN_IF_ERROR(archive.VerifyCrc(i));
  }
  return {};
}

bool IsScript(const ZipArchive& archive, const std::string& prefix) {
  return std::any_of(archive.members().begin(), archive.members().end(),
                     [&](const ZipMember& member) { return IsProgram(member, prefix); });
}

// The bytes of data.pkl; its CRC-32 must be right unless none is recorded.
Result<std::string> ReadPickleRecord(const ZipArchive& archive, size_t member, TorchCheckpoint& checkpoint) {
  CKMAP_ASSIGN_OR_RETURN(std::string bytes, archive.ReadWhole(member, kMaxPickleBytes));
  const bool recorded = archive.members()[member].crc != 0;
  if (auto status = archive.CheckCrc(member, std::as_bytes(std::span(bytes))); !status.ok() && recorded) {
    return std::move(status).error();
  }
  const auto unchecked = std::count_if(archive.members().begin(), archive.members().end(),
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

Result<TorchArchive> ReadTorchArchive(const InputFile& file, int64_t begin, int64_t length, TorchCheckpoint& checkpoint,
                                      const OpenOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(const ZipArchive* archive, checkpoint.AddArchive(file, begin, length));
  CKMAP_ASSIGN_OR_RETURN(const std::string prefix, FindPrefix(*archive, file.path()));
  CKMAP_ASSIGN_OR_RETURN(const bool big, ReadByteOrder(*archive, prefix));
  CKMAP_RETURN_IF_ERROR(CheckRecordsOfTorch(*archive, prefix));
  ReadReceipt(*archive, prefix, checkpoint);
  TorchArchive contents;
  contents.script = IsScript(*archive, prefix);
  if (contents.script) CKMAP_RETURN_IF_ERROR(CheckProgram(*archive, prefix));
  const size_t member = *archive->Find(prefix + std::string(kPickleName));
  CKMAP_ASSIGN_OR_RETURN(std::string bytes, ReadPickleRecord(*archive, member, checkpoint));
  contents.bytes = std::make_unique<std::string>(std::move(bytes));
  const TorchAllowList allow(contents.script ? TorchAllowList::Scope::kScript : TorchAllowList::Scope::kCheckpoint,
                             options.skip_unknown_objects);
  CKMAP_ASSIGN_OR_RETURN(contents.pickle, Pickle::Read(*contents.bytes, allow));
  const Pickle& pickle = contents.pickle;
  if (pickle.end() != contents.bytes->size()) {
    return Malformed(fmt::format("{} bytes follow the pickle in data.pkl", contents.bytes->size() - pickle.end()));
  }
  const bool module = pickle.kind(pickle.root()) == PickleKind::kObject &&
                      MeaningOf(pickle.callable(pickle.root())).thing == TorchThing::kModuleClass;
  if (contents.script && !module) {
    return Malformed("a TorchScript archive (code/, constants.pkl) whose data.pkl holds no module");
  }
  ZipReferences references(file, *archive, prefix, big, checkpoint);
  CKMAP_ASSIGN_OR_RETURN(contents.objects, TorchObjects::Interpret(pickle, references));
  return contents;
}

}  // namespace ckmap
