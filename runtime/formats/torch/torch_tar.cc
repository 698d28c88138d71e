// The container of torch 0.1.1: a tar of four members. "storages": a count, for each storage a
// pickle (key, location, class), an int64 count and the elements, then a pickle of views (target
// key, root key, offset, size). "tensors": a count, for each tensor a pickle (key, storage key,
// class), an int32 rank, 4 unused bytes, sizes, strides and the offset, all int64. "pickle": the
// object, whose persistent ids are keys of tensors. "sys_info" says what machine wrote it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "runtime/base/malformed.h"
#include "runtime/base/text.h"
#include "runtime/formats/torch/torch.h"
#include "runtime/formats/torch/torch_checkpoint.h"
#include "runtime/formats/torch/torch_stacked.h"

namespace ckmap {
namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kMaxExtendedHeader = int64_t{64} << 10;
constexpr int64_t kMaxPadding = int64_t{1} << 20;
constexpr std::array<std::string_view, 4> kMembers = {"sys_info", "pickle", "storages", "tensors"};

struct Run {
  int64_t begin = 0;
  int64_t size = 0;
};

// Octal digits, padded with spaces or NULs.
std::optional<int64_t> ParseOctal(std::string_view field) {
  while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
  while (!field.empty() && (field.back() == ' ' || field.back() == '\0')) field.remove_suffix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, 8);
  if (field.empty() || error != std::errc() || end != field.data() + field.size() || value < 0) return std::nullopt;
  return value;
}

bool ChecksumFits(std::string_view block) {
  constexpr size_t kField = 148;
  constexpr size_t kFieldSize = 8;
  int64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= kField && i < kField + kFieldSize;
    sum += own ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return ParseOctal(block.substr(kField, kFieldSize)) == sum;
}

std::string_view NameOf(std::string_view block) {
  const std::string_view field = block.substr(0, 100);
  return field.substr(0, field.find('\0'));
}

class TarReader {
 public:
  explicit TarReader(const InputFile& file) : file_(file) {}

  // The members by name; nothing but the four, each once.
  Result<std::map<std::string, Run>> Read();

 private:
  Result<std::string> Bytes(int64_t offset, int64_t count) const;
  Result<void> Member(std::string_view block);
  Result<void> Extended(const Run& run) const;
  Result<void> CheckPadding() const;

  const InputFile& file_;
  int64_t at_ = 0;
  std::map<std::string, Run> members_;
};

Result<std::string> TarReader::Bytes(int64_t offset, int64_t count) const {
  std::string bytes(static_cast<size_t>(count), '\0');
  CKMAP_RETURN_IF_ERROR(file_.ReadAt(offset, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

Result<std::map<std::string, Run>> TarReader::Read() {
  while (true) {
    if (file_.size() - at_ < kBlock) return Malformed(fmt::format("tar: no header at byte {}", at_));
    CKMAP_ASSIGN_OR_RETURN(const std::string block, Bytes(at_, kBlock));
    if (block.find_first_not_of('\0') == std::string::npos) break;
    CKMAP_RETURN_IF_ERROR(Member(block));
  }
  CKMAP_RETURN_IF_ERROR(CheckPadding());
  return std::move(members_);
}

Result<void> TarReader::Member(std::string_view block) {
  const std::string name(NameOf(block));
  const std::string where = fmt::format("tar member \"{}\" at byte {}", EscapeText(name), at_);
  if (!ChecksumFits(block)) return Malformed(where + ": the header's checksum is wrong");
  const auto size = ParseOctal(block.substr(124, 12));
  const int64_t left = file_.size() - at_ - kBlock;
  if (!size || *size > left) return Malformed(fmt::format("{}: no size that fits the {} bytes left", where, left));
  const Run run{at_ + kBlock, *size};
  const char type = block[156];
  // The data is followed by zeros up to a whole block; the last block may be missing them.
  at_ += kBlock + std::min(left, (*size + kBlock - 1) / kBlock * kBlock);
  if (type == 'x' || type == 'g') return Extended(run);
  if (type != '0' && type != '\0') return Malformed(where + ": not a plain file");
  if (std::find(kMembers.begin(), kMembers.end(), name) == kMembers.end()) {
    return Malformed(where + ": not one of sys_info, pickle, storages and tensors");
  }
  if (!members_.emplace(name, run).second) return Malformed(where + ": there twice");
  return {};
}

// Records "LENGTH KEY=VALUE\n": times are of no interest, other names or sizes would change what is
// read.
Result<void> TarReader::Extended(const Run& run) const {
  if (run.size > kMaxExtendedHeader) return Malformed("tar: an extended header beyond 64 KiB");
  CKMAP_ASSIGN_OR_RETURN(const std::string bytes, Bytes(run.begin, run.size));
  for (const std::string_view key : {" path=", " linkpath=", " size=", " hdrcharset="}) {
    if (bytes.find(key) != std::string::npos) {
      return Malformed(fmt::format("tar: an extended header at byte {} that changes{}", run.begin - kBlock, key));
    }
  }
  return {};
}

Result<void> TarReader::CheckPadding() const {
  const int64_t left = file_.size() - at_;
  if (left > kMaxPadding) return Malformed(fmt::format("tar: {} bytes behind the last member", left));
  CKMAP_ASSIGN_OR_RETURN(const std::string rest, Bytes(at_, left));
  if (rest.find_first_not_of('\0') != std::string::npos) return Malformed("tar: data behind the last member");
  return {};
}

// What the keys of the file stand for.
class TarReferences : public TorchReferences {
 public:
  explicit TarReferences(TorchCheckpoint& checkpoint) : checkpoint_(checkpoint) {}

  Result<void> ReadStorages(const InputFile& file, const Run& run);
  Result<void> ReadTensors(const InputFile& file, const Run& run);

  Result<TorchReference> Resolve(const Pickle& pickle, PickleId value) override {
    if (pickle.kind(value) != PickleKind::kText) return Malformed("a persistent id that is no key of a tensor");
    const std::string_view text = pickle.text(value);
    int64_t key = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), key);
    const auto found = known_.find(key);
    if (error != std::errc() || end != text.data() + text.size() || found == known_.end()) {
      return Malformed(fmt::format("a persistent id \"{}\" that nothing has", EscapeText(text.substr(0, 40))));
    }
    return found->second;
  }
  uint32_t AddBytes(std::string bytes) override { return checkpoint_.AddSource(MemorySource(std::move(bytes))); }

 private:
  // A pickle of three parts with integers at the first `integers` places and a class at `type_at`.
  struct Entry {
    int64_t key = 0;
    int64_t second = 0;  // of a tensor: the storage's key
    DType dtype = DType::kAny;
  };
  static Result<int64_t> ReadCount(StackedReader& reader, std::string_view what);
  static Result<Entry> ReadEntry(const Pickle& pickle, bool tensor);
  Result<void> ReadViews(const Pickle& pickle);
  Result<TorchStorageRef> Storage(int64_t key) const;
  Result<void> Add(int64_t key, TorchReference reference);

  TorchCheckpoint& checkpoint_;
  std::unordered_map<int64_t, TorchReference> known_;
};

Result<int64_t> TarReferences::ReadCount(StackedReader& reader, std::string_view what) {
  CKMAP_ASSIGN_OR_RETURN(const StackedPickle count, reader.Next(what));
  const PickleId root = count.pickle.root();
  if (count.pickle.kind(root) != PickleKind::kInt || count.pickle.integer(root) < 0 ||
      count.pickle.integer(root) > reader.left()) {
    return Malformed(fmt::format("{} is no number that fits the {} bytes left", what, reader.left()));
  }
  return count.pickle.integer(root);
}

Result<TarReferences::Entry> TarReferences::ReadEntry(const Pickle& pickle, bool tensor) {
  const std::string_view form = tensor ? "(key, storage key, class)" : "(key, location, class)";
  const PickleId root = pickle.root();
  if (pickle.kind(root) != PickleKind::kTuple || pickle.items(root).size() != 3)
    return Malformed(fmt::format("an entry that is not {}", form));
  const auto items = pickle.items(root);
  const PickleKind second = tensor ? PickleKind::kInt : PickleKind::kText;
  if (pickle.kind(items[0]) != PickleKind::kInt || pickle.kind(items[1]) != second ||
      pickle.kind(items[2]) != PickleKind::kGlobal) {
    return Malformed(fmt::format("an entry that is not {}", form));
  }
  const TorchMeaning meaning = MeaningOf(pickle.global(items[2]));
  if (meaning.thing != (tensor ? TorchThing::kTensorType : TorchThing::kStorage))
    return Malformed(fmt::format("an entry that is not {}", form));
  return Entry{pickle.integer(items[0]), tensor ? pickle.integer(items[1]) : 0, meaning.dtype};
}

Result<void> TarReferences::Add(int64_t key, TorchReference reference) {
  if (known_.emplace(key, std::move(reference)).second) return {};
  return Malformed(fmt::format("key {} is there twice", key));
}

Result<TorchStorageRef> TarReferences::Storage(int64_t key) const {
  const auto found = known_.find(key);
  const auto* ref = found == known_.end() ? nullptr : std::get_if<TorchStorageRef>(&found->second);
  if (ref == nullptr) return Malformed(fmt::format("storage key {} that nothing has", key));
  return *ref;
}

Result<void> TarReferences::ReadStorages(const InputFile& file, const Run& run) {
  StackedReader reader(file, run.begin, run.begin + run.size);
  CKMAP_ASSIGN_OR_RETURN(const int64_t count, ReadCount(reader, "the number of storages"));
  for (int64_t i = 0; i < count; ++i) {
    CKMAP_ASSIGN_OR_RETURN(const StackedPickle head, reader.Next("a storage's entry"));
    CKMAP_ASSIGN_OR_RETURN(const Entry entry, ReadEntry(head.pickle, false));
    CKMAP_ASSIGN_OR_RETURN(const auto numel, reader.Number<int64_t>("a storage's element count"));
    const auto bytes = NumBytes({numel}, entry.dtype);
    if (!bytes) return Malformed(fmt::format("a storage of {} elements", numel));
    CKMAP_ASSIGN_OR_RETURN(const int64_t begin, reader.Skip(fmt::format("storage {}", entry.key), *bytes));
    TorchStorageRef ref;
    ref.storage = checkpoint_.AddSource(FileSource(file, begin, *bytes));
    ref.dtype = entry.dtype;
    ref.numel = numel;
    CKMAP_RETURN_IF_ERROR(Add(entry.key, std::move(ref)));
  }
  CKMAP_ASSIGN_OR_RETURN(const StackedPickle views, reader.Next("the storage views"));
  if (reader.left() != 0) return Malformed(fmt::format("{} bytes lie behind the storage views", reader.left()));
  return ReadViews(views.pickle);
}

Result<void> TarReferences::ReadViews(const Pickle& pickle) {
  if (pickle.kind(pickle.root()) != PickleKind::kList) return Malformed("the storage views are no list");
  for (const PickleId item : pickle.items(pickle.root())) {
    CKMAP_ASSIGN_OR_RETURN(const auto numbers, TorchIntegers(pickle, item));
    if (numbers.size() != 4) return Malformed("a storage view that is not (target, root, offset, size)");
    CKMAP_ASSIGN_OR_RETURN(TorchStorageRef ref, Storage(numbers[1]));
    const int64_t offset = numbers[2];
    const int64_t size = numbers[3];
    if (offset < 0 || size < 0 || offset > ref.numel || size > ref.numel - offset) {
      return Malformed(fmt::format("a view of {} elements from {} of a storage of {}", size, offset, ref.numel));
    }
    ref.first += offset;
    ref.numel = size;
    CKMAP_RETURN_IF_ERROR(Add(numbers[0], std::move(ref)));
  }
  return {};
}

Result<void> TarReferences::ReadTensors(const InputFile& file, const Run& run) {
  StackedReader reader(file, run.begin, run.begin + run.size);
  CKMAP_ASSIGN_OR_RETURN(const int64_t count, ReadCount(reader, "the number of tensors"));
  for (int64_t i = 0; i < count; ++i) {
    CKMAP_ASSIGN_OR_RETURN(const StackedPickle head, reader.Next("a tensor's entry"));
    CKMAP_ASSIGN_OR_RETURN(const Entry entry, ReadEntry(head.pickle, true));
    CKMAP_ASSIGN_OR_RETURN(const TorchStorageRef ref, Storage(entry.second));
    CKMAP_ASSIGN_OR_RETURN(const auto rank, reader.Number<int32_t>("a tensor's rank"));
    CKMAP_RETURN_IF_ERROR(reader.Number<int32_t>("a tensor's padding"));
    if (rank < 0 || rank > static_cast<int32_t>(kMaxTorchRank))
      return Malformed(fmt::format("a tensor of {} dims", rank));
    CKMAP_ASSIGN_OR_RETURN(const Shape sizes, reader.Numbers("a tensor's sizes", rank));
    CKMAP_ASSIGN_OR_RETURN(const auto strides, reader.Numbers("a tensor's strides", rank));
    CKMAP_ASSIGN_OR_RETURN(const auto offset, reader.Number<int64_t>("a tensor's offset"));
    auto tensor = MakeTorchTensor(ref, entry.dtype, sizes, strides, offset, false);
    if (!tensor.ok()) return std::move(tensor).error().Context(fmt::format("tensor {}", entry.key));
    CKMAP_RETURN_IF_ERROR(Add(entry.key, *std::move(tensor)));
  }
  if (reader.left() != 0) return Malformed(fmt::format("{} bytes lie behind the last tensor", reader.left()));
  return {};
}

Result<void> ReadTar(const InputFile& file, const OpenOptions& options, TorchCheckpoint& checkpoint) {
  CKMAP_ASSIGN_OR_RETURN(const auto members, TarReader(file).Read());
  for (const std::string_view name : kMembers) {
    if (!members.contains(std::string(name))) return Malformed(fmt::format("the tar has no member \"{}\"", name));
  }
  const auto whole = [&](const std::string& name) -> Result<StackedPickle> {
    const Run run = members.at(name);
    StackedReader reader(file, run.begin, run.begin + run.size, options.skip_unknown_objects);
    CKMAP_ASSIGN_OR_RETURN(StackedPickle pickle, reader.Next(name));
    if (reader.left() != 0) return Malformed(fmt::format("{} bytes follow the pickle in \"{}\"", reader.left(), name));
    return pickle;
  };
  CKMAP_ASSIGN_OR_RETURN(const StackedPickle system, whole("sys_info"));
  if (system.pickle.kind(system.pickle.root()) != PickleKind::kDict) return Malformed("sys_info is no dict");
  TarReferences references(checkpoint);
  CKMAP_RETURN_IF_ERROR(references.ReadStorages(file, members.at("storages")));
  CKMAP_RETURN_IF_ERROR(references.ReadTensors(file, members.at("tensors")));
  CKMAP_ASSIGN_OR_RETURN(const StackedPickle object, whole("pickle"));
  CKMAP_ASSIGN_OR_RETURN(const TorchObjects objects, TorchObjects::Interpret(object.pickle, references));
  return checkpoint.AddPickle(object.pickle, objects, options);
}

}  // namespace

bool LooksLikeTorchTar(std::span<const std::byte> head) {
  if (head.size() < static_cast<size_t>(kBlock)) return false;
  const std::string_view block(reinterpret_cast<const char*>(head.data()), static_cast<size_t>(kBlock));
  if (!ChecksumFits(block)) return false;
  const bool extended = block[156] == 'x' || block[156] == 'g';
  return extended || std::find(kMembers.begin(), kMembers.end(), NameOf(block)) != kMembers.end();
}

Result<std::unique_ptr<Checkpoint>> OpenTorchTar(InputFile opened, const OpenOptions& options) {
  auto checkpoint = std::make_unique<TorchCheckpoint>("torch-tar");
  const InputFile& file = checkpoint->AddFile(std::move(opened));
  if (auto status = ReadTar(file, options, *checkpoint); !status.ok()) {
    return std::move(status).error().Context(file.path());
  }
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace ckmap
