#include "runtime/formats/zip/zip_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "runtime/base/little_endian.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kEntrySignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr uint32_t kDescriptorSignature = 0x08074b50;
constexpr int64_t kLocalSize = 30;
constexpr int64_t kEntrySize = 46;
constexpr int64_t kEndSize = 22;
constexpr int64_t kEnd64Size = 56;
constexpr int64_t kLocator64Size = 20;
constexpr uint32_t kIn64 = 0xffffffff;  // "the value is in the zip64 field"
constexpr uint16_t kExtra64 = 1;
constexpr uint16_t kFlagDescriptor = 1U << 3;
constexpr uint8_t kMaxVersionNeeded = 63;  // tenths: 6.3
constexpr uint32_t kModeMask = 0170000;
constexpr uint32_t kModeSymlink = 0120000;
constexpr uint32_t kFolderAttribute = 0x10;  // of MS-DOS
// Deflate cannot shrink more than this, so a larger promise is a lie.
constexpr int64_t kMaxDeflateRatio = 1032;

struct RefusedFlag {
  uint16_t bit;
  std::string_view meaning;
};
constexpr RefusedFlag kRefusedFlags[] = {
    {1U << 0, "is encrypted"},
    {1U << 5, "is compressed patched data"},
    {1U << 6, "uses strong encryption"},
    {1U << 13, "has a masked local header"},
};

Error BadZip(std::string message) { return {ErrorCode::kMalformed, "zip: " + std::move(message)}; }

Error MemberError(std::string_view name, std::string_view message) {
  return {ErrorCode::kMalformed, fmt::format("zip member \"{}\" {}", EscapeText(name), message)};
}

// What the end records say, offsets relative to the archive's start.
struct Directory {
  int64_t offset = 0;
  int64_t size = 0;
  int64_t entries = 0;
};

std::string FoldCase(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

// Why a member's name is refused, or nothing.
std::string_view NameFault(std::string_view name, ZipNames names) {
  if (name.empty()) return "has an empty name";
  if (!IsValidUtf8(name)) return "has a name that is not UTF-8";
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "has a control character in its name";
    if (c == '\\' && names == ZipNames::kPaths) return "has a backslash in its name";
  }
  if (names == ZipNames::kAny) return {};
  if (name.front() == '/') return "has an absolute name";
  if (name.size() >= 2 && name[1] == ':') return "has a drive in its name";
  if (name.back() == '/') name.remove_suffix(1);
  while (true) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return "has an empty part, \".\" or \"..\" in its name";
    if (slash == std::string_view::npos) return {};
    name.remove_prefix(slash + 1);
  }
}

// Values of a zip64 extra field for those of `fields` that are 0xffffffff, in the order of the
// standard. Fields that are not stay as they are. False if the extra data does not say exactly
// that.
bool ApplyExtra64(std::string_view extra, std::span<uint64_t*> fields, bool exact) {
  std::string_view found;
  bool seen = false;
  while (!extra.empty()) {
    if (extra.size() < 4) return false;
    const auto id = LoadLittle<uint16_t>(extra.data());
    const size_t length = LoadLittle<uint16_t>(extra.data() + 2);
    if (length > extra.size() - 4) return false;
    if (id == kExtra64) {
      if (seen) return false;
      seen = true;
      found = extra.substr(4, length);
    }
    extra.remove_prefix(4 + length);
  }
  for (uint64_t* field : fields) {
    if (*field != kIn64) continue;
    if (found.size() < 8) return false;
    *field = LoadLittle<uint64_t>(found.data());
    found.remove_prefix(8);
  }
  return !exact || found.empty();
}

class DirectoryReader {
 public:
  DirectoryReader(const InputFile& file, int64_t begin, int64_t length, ZipNames names)
      : file_(file), begin_(begin), length_(length), names_(names) {}

  Result<std::vector<ZipMember>> Read();

 private:
  Result<std::string> Bytes(int64_t offset, int64_t count) const;
  Result<Directory> ReadEnd();
  Result<void> ReadEnd64(std::string_view tail, Directory& directory);
  Error NoEnd() const;
  Result<ZipMember> ParseEntry(std::string_view& rest);
  Result<void> CheckEntry(const ZipMember& member, uint32_t attributes) const;
  Result<void> CheckNames() const;
  Result<void> CheckLocal(ZipMember& member, int64_t limit) const;
  Result<void> CheckDescriptor(const ZipMember& member, int64_t limit) const;

  const InputFile& file_;
  const int64_t begin_;
  const int64_t length_;
  const ZipNames names_;
  Directory directory_;
  std::vector<ZipMember> members_;  // offsets relative to the archive's start until Read is done
};

Result<std::string> DirectoryReader::Bytes(int64_t offset, int64_t count) const {
  std::string bytes(static_cast<size_t>(count), '\0');
  CKMAP_RETURN_IF_ERROR(file_.ReadAt(begin_ + offset, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

// Says what stands at the end instead of an end record.
Error DirectoryReader::NoEnd() const {
  const int64_t window = std::min<int64_t>(length_, kEndSize + 0xffff);
  if (const auto tail = Bytes(length_ - window, window); tail.ok()) {
    const size_t at = tail->rfind(std::string_view("PK\5\6", 4));
    if (at != std::string::npos) {
      return BadZip(fmt::format("{} bytes lie behind the end record (a comment, or a second file); none may",
                                window - static_cast<int64_t>(at) - kEndSize));
    }
  }
  return BadZip("no end record in the last 64 KiB: the file is cut short, or is no ZIP archive");
}

Result<Directory> DirectoryReader::ReadEnd() {
  if (length_ < kEndSize) return NoEnd();
  const int64_t tail_size = std::min(length_, kEndSize + kLocator64Size + kEnd64Size);
  CKMAP_ASSIGN_OR_RETURN(const std::string tail, Bytes(length_ - tail_size, tail_size));
  const char* end = tail.data() + tail.size() - kEndSize;
  if (LoadLittle<uint32_t>(end) != kEndSignature) return NoEnd();
  if (LoadLittle<uint16_t>(end + 20) != 0) return BadZip("the end record announces a comment that is not there");
  if (LoadLittle<uint16_t>(end + 4) != 0 || LoadLittle<uint16_t>(end + 6) != 0) {
    return BadZip("the archive is one of several disks");
  }
  Directory found;
  found.entries = LoadLittle<uint16_t>(end + 10);
  found.size = LoadLittle<uint32_t>(end + 12);
  found.offset = LoadLittle<uint32_t>(end + 16);
  if (LoadLittle<uint16_t>(end + 8) != found.entries) return BadZip("the archive is one of several disks");
  int64_t directory_end = length_ - kEndSize;
  if (tail_size >= kEndSize + kLocator64Size && LoadLittle<uint32_t>(end - kLocator64Size) == kLocator64Signature) {
    CKMAP_RETURN_IF_ERROR(ReadEnd64(tail, found));
    directory_end -= kLocator64Size + kEnd64Size;
  }
  if (found.size > directory_end || found.offset != directory_end - found.size) {
    return BadZip(
        fmt::format("the end record puts a directory of {} bytes at byte {}; it must end where the "
                    "end records begin, at byte {} "
                    "(bytes were added, removed or put in front)",
                    found.size, found.offset, directory_end));
  }
  if (found.entries > found.size / kEntrySize) {
    return BadZip(fmt::format("{} entries are promised in a directory of {} bytes", found.entries, found.size));
  }
  if (found.entries > kMaxZipEntries || found.size > kMaxZipDirectory) {
    return Error(ErrorCode::kLimit,
                 fmt::format("zip: {} entries in {} of directory; the limits are {} and {}", found.entries,
                             FormatBytes(found.size), kMaxZipEntries, FormatBytes(kMaxZipDirectory)));
  }
  return found;
}

// The zip64 end record stands right before its locator; where the plain record has a value too,
// both must agree.
Result<void> DirectoryReader::ReadEnd64(std::string_view tail, Directory& directory) {
  const int64_t at = length_ - kEndSize - kLocator64Size - kEnd64Size;
  if (at < 0) return BadZip("the zip64 end record is missing");
  const char* record = tail.data();
  const char* locator = record + kEnd64Size;
  if (LoadLittle<uint32_t>(locator + 4) != 0 || LoadLittle<uint32_t>(locator + 16) != 1) {
    return BadZip("the archive is one of several disks");
  }
  const auto place = LoadLittle<uint64_t>(locator + 8);
  if (place != static_cast<uint64_t>(at) || LoadLittle<uint32_t>(record) != kEnd64Signature ||
      LoadLittle<uint64_t>(record + 4) != static_cast<uint64_t>(kEnd64Size - 12)) {
    return BadZip(
        fmt::format("the zip64 locator points at byte {}; a zip64 end record of {} bytes must "
                    "stand right before it, at byte {}",
                    place, kEnd64Size, at));
  }
  const auto entries = LoadLittle<uint64_t>(record + 32);
  const auto size = LoadLittle<uint64_t>(record + 40);
  const auto offset = LoadLittle<uint64_t>(record + 48);
  if (LoadLittle<uint32_t>(record + 16) != 0 || LoadLittle<uint32_t>(record + 20) != 0 ||
      LoadLittle<uint64_t>(record + 24) != entries) {
    return BadZip("the archive is one of several disks");
  }
  const auto agrees = [](int64_t plain, uint64_t wide, int64_t in64) {
    return plain == in64 || static_cast<uint64_t>(plain) == wide;
  };
  if (!agrees(directory.entries, entries, 0xffff) || !agrees(directory.size, size, kIn64) ||
      !agrees(directory.offset, offset, kIn64)) {
    return BadZip("the zip64 end record contradicts the plain end record");
  }
  const auto limit = static_cast<uint64_t>(length_);
  if (entries > limit || size > limit || offset > limit) {
    return BadZip(fmt::format("the zip64 end record promises {} entries in {} bytes at byte {}, the file has {} bytes",
                              entries, size, offset, length_));
  }
  directory = {static_cast<int64_t>(offset), static_cast<int64_t>(size), static_cast<int64_t>(entries)};
  return {};
}

Result<ZipMember> DirectoryReader::ParseEntry(std::string_view& rest) {
  const auto at = [&] { return begin_ + directory_.offset + directory_.size - static_cast<int64_t>(rest.size()); };
  if (rest.size() < static_cast<size_t>(kEntrySize) || LoadLittle<uint32_t>(rest.data()) != kEntrySignature) {
    return BadZip(fmt::format("no directory entry at byte {}, entry {} of {} should be there", at(),
                              members_.size() + 1, directory_.entries));
  }
  const char* entry = rest.data();
  const size_t name_size = LoadLittle<uint16_t>(entry + 28);
  const size_t extra_size = LoadLittle<uint16_t>(entry + 30);
  const size_t comment_size = LoadLittle<uint16_t>(entry + 32);
  if (name_size + extra_size + comment_size > rest.size() - static_cast<size_t>(kEntrySize)) {
    return BadZip(fmt::format("the directory entry at byte {} is longer than the directory", at()));
  }
  ZipMember member;
  member.name = rest.substr(static_cast<size_t>(kEntrySize), name_size);
  const std::string_view extra = rest.substr(static_cast<size_t>(kEntrySize) + name_size, extra_size);
  member.flags = LoadLittle<uint16_t>(entry + 8);
  const auto method = LoadLittle<uint16_t>(entry + 10);
  member.crc = LoadLittle<uint32_t>(entry + 16);
  uint64_t packed = LoadLittle<uint32_t>(entry + 20);
  uint64_t size = LoadLittle<uint32_t>(entry + 24);
  uint64_t offset = LoadLittle<uint32_t>(entry + 42);
  uint64_t* fields[] = {&size, &packed, &offset};
  if (!ApplyExtra64(extra, fields, true)) {
    return MemberError(member.name,
                       "has broken extra fields: a zip64 field must hold exactly the values that "
                       "are 0xffffffff in the entry");
  }
  if (LoadLittle<uint16_t>(entry + 34) != 0) return MemberError(member.name, "lies on another disk");
  const auto version = LoadLittle<uint8_t>(entry + 6);
  if (version > kMaxVersionNeeded) {
    return MemberError(member.name,
                       fmt::format("needs version {} of ZIP; at most {} is known", version, kMaxVersionNeeded));
  }
  if (method != 0 && method != 8) {
    return MemberError(member.name,
                       fmt::format("has compression method {}; stored (0) and deflated (8) are read", method));
  }
  const auto limit = static_cast<uint64_t>(directory_.offset);
  if (packed > limit || offset > limit - std::min(limit, static_cast<uint64_t>(kLocalSize)) ||
      packed > limit - offset) {
    return MemberError(
        member.name, fmt::format("is said to have {} bytes at byte {}; members end at byte {}", packed, offset, limit));
  }
  member.deflated = method == 8;
  if (member.deflated ? size > packed * kMaxDeflateRatio : size != packed) {
    return MemberError(member.name, fmt::format("cannot have {} bytes out of {}", size, packed));
  }
  member.packed_size = static_cast<int64_t>(packed);
  member.size = static_cast<int64_t>(size);
  member.header_offset = static_cast<int64_t>(offset);
  CKMAP_RETURN_IF_ERROR(CheckEntry(member, LoadLittle<uint32_t>(entry + 38)));
  rest.remove_prefix(static_cast<size_t>(kEntrySize) + name_size + extra_size + comment_size);
  return member;
}

Result<void> DirectoryReader::CheckEntry(const ZipMember& member, uint32_t attributes) const {
  if (const std::string_view fault = NameFault(member.name, names_); !fault.empty())
    return MemberError(member.name, fault);
  for (const RefusedFlag& flag : kRefusedFlags) {
    if ((member.flags & flag.bit) != 0) return MemberError(member.name, flag.meaning);
  }
  if (((attributes >> 16) & kModeMask) == kModeSymlink) return MemberError(member.name, "is a symbolic link");
  // Readers that go by the attribute see nothing where others see data.
  if (member.name.back() != '/' && (attributes & kFolderAttribute) != 0) {
    return MemberError(member.name, "is marked as a folder and named as a file");
  }
  if (member.name.back() == '/' && (member.size != 0 || member.packed_size != 0)) {
    return MemberError(member.name, fmt::format("is a folder that has {} bytes of data", member.packed_size));
  }
  return {};
}

// Readers that ignore case (where names are paths), or take the first or the last of two, must see the
// same members.
Result<void> DirectoryReader::CheckNames() const {
  const bool fold = names_ == ZipNames::kPaths;
  std::unordered_set<std::string> seen;
  for (const ZipMember& member : members_) {
    if (!seen.insert(fold ? FoldCase(member.name) : member.name).second) {
      return MemberError(member.name,
                         fold ? "is there twice (names that differ only in case count as one)" : "is there twice");
    }
  }
  return {};
}

// The local header must say what the directory says; sets the data's offset. `limit`: where the
// next member, or the directory, begins.
Result<void> DirectoryReader::CheckLocal(ZipMember& member, int64_t limit) const {
  CKMAP_ASSIGN_OR_RETURN(const std::string header, Bytes(member.header_offset, kLocalSize));
  if (LoadLittle<uint32_t>(header.data()) != kLocalSignature) {
    return MemberError(member.name, fmt::format("has no local header at byte {}", begin_ + member.header_offset));
  }
  const int64_t name_size = LoadLittle<uint16_t>(header.data() + 26);
  const int64_t extra_size = LoadLittle<uint16_t>(header.data() + 28);
  const int64_t data = member.header_offset + kLocalSize + name_size + extra_size;
  if (data > limit || member.packed_size > limit - data) {
    return MemberError(member.name,
                       fmt::format("has bytes {} to {}, which overlap the next member or the directory at byte {}",
                                   begin_ + member.header_offset, begin_ + data + member.packed_size, begin_ + limit));
  }
  CKMAP_ASSIGN_OR_RETURN(const std::string names, Bytes(member.header_offset + kLocalSize, name_size + extra_size));
  const std::string_view name = std::string_view(names).substr(0, static_cast<size_t>(name_size));
  if (name != member.name) {
    return MemberError(member.name, fmt::format("is named \"{}\" in its local header", EscapeText(name)));
  }
  if (LoadLittle<uint16_t>(header.data() + 6) != member.flags ||
      LoadLittle<uint16_t>(header.data() + 8) != (member.deflated ? 8 : 0)) {
    return MemberError(member.name, "has other flags or another method in its local header");
  }
  const auto crc = LoadLittle<uint32_t>(header.data() + 14);
  uint64_t packed = LoadLittle<uint32_t>(header.data() + 18);
  uint64_t size = LoadLittle<uint32_t>(header.data() + 22);
  if (packed == kIn64 || size == kIn64) {
    uint64_t* fields[] = {&size, &packed};
    if (!ApplyExtra64(std::string_view(names).substr(static_cast<size_t>(name_size)), fields, false)) {
      return MemberError(member.name, "has no zip64 sizes in its local header");
    }
  }
  // With a descriptor the local header may leave the values to it.
  const bool described = (member.flags & kFlagDescriptor) != 0;
  const auto agrees = [&](uint64_t value, uint64_t expected) { return value == expected || (described && value == 0); };
  if (!agrees(crc, member.crc) || !agrees(packed, static_cast<uint64_t>(member.packed_size)) ||
      !agrees(size, static_cast<uint64_t>(member.size))) {
    return MemberError(member.name, "has another size or CRC-32 in its local header");
  }
  member.data_offset = data;
  return CheckDescriptor(member, limit);
}

// Between the data and `limit` lies the descriptor, if there is one, and nothing else.
Result<void> DirectoryReader::CheckDescriptor(const ZipMember& member, int64_t limit) const {
  const int64_t end = member.data_offset + member.packed_size;
  const int64_t room = limit - end;
  if ((member.flags & kFlagDescriptor) == 0) {
    if (room == 0) return {};
    return BadZip(
        fmt::format("{} bytes behind member \"{}\", at byte {}, belong to no member; unpack and "
                    "pack the archive anew",
                    room, EscapeText(member.name), begin_ + end));
  }
  if (room != 12 && room != 16 && room != 20 && room != 24) {
    return MemberError(member.name, fmt::format("has {} bytes behind its data, no data descriptor is that long", room));
  }
  CKMAP_ASSIGN_OR_RETURN(const std::string bytes, Bytes(end, room));
  const char* at = bytes.data();
  const bool signature = room == 16 || room == 24;
  const bool wide = room >= 20;
  bool matches = !signature || LoadLittle<uint32_t>(at) == kDescriptorSignature;
  if (signature) at += 4;
  matches = matches && LoadLittle<uint32_t>(at) == member.crc;
  at += 4;
  const uint64_t packed = wide ? LoadLittle<uint64_t>(at) : LoadLittle<uint32_t>(at);
  const uint64_t size = wide ? LoadLittle<uint64_t>(at + 8) : LoadLittle<uint32_t>(at + 4);
  if (!matches || packed != static_cast<uint64_t>(member.packed_size) || size != static_cast<uint64_t>(member.size)) {
    return MemberError(member.name, "has a data descriptor that contradicts the directory");
  }
  return {};
}

Result<std::vector<ZipMember>> DirectoryReader::Read() {
  CKMAP_ASSIGN_OR_RETURN(directory_, ReadEnd());
  CKMAP_ASSIGN_OR_RETURN(const std::string bytes, Bytes(directory_.offset, directory_.size));
  std::string_view rest = bytes;
  members_.reserve(static_cast<size_t>(directory_.entries));
  for (int64_t i = 0; i < directory_.entries; ++i) {
    CKMAP_ASSIGN_OR_RETURN(ZipMember member, ParseEntry(rest));
    members_.push_back(std::move(member));
  }
  if (!rest.empty()) {
    return BadZip(fmt::format("the directory has {} entries and then {} more bytes", directory_.entries, rest.size()));
  }
  CKMAP_RETURN_IF_ERROR(CheckNames());

  std::vector<ZipMember*> order;
  order.reserve(members_.size());
  for (ZipMember& member : members_) order.push_back(&member);
  std::sort(order.begin(), order.end(),
            [](const ZipMember* a, const ZipMember* b) { return a->header_offset < b->header_offset; });
  const int64_t first = order.empty() ? directory_.offset : order.front()->header_offset;
  if (first != 0) return BadZip(fmt::format("{} bytes lie in front of the first member", first));
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t limit = i + 1 < order.size() ? order[i + 1]->header_offset : directory_.offset;
    CKMAP_RETURN_IF_ERROR(CheckLocal(*order[i], limit));
  }
  for (ZipMember& member : members_) {
    member.header_offset += begin_;
    member.data_offset += begin_;
  }
  return std::move(members_);
}

}  // namespace

Result<std::vector<ZipMember>> ReadZipDirectory(const InputFile& file, int64_t begin, int64_t length, ZipNames names) {
  return DirectoryReader(file, begin, length, names).Read();
}

}  // namespace ckmap
