#include "runtime/formats/zip/zip_archive.h"

#include <fmt/format.h>
#include <isa-l/crc.h>

#include <algorithm>
#include <array>
#include <list>
#include <mutex>
#include <utility>

#include "runtime/base/little_endian.h"
#include "runtime/base/text.h"
#include "runtime/formats/zip/zip_directory.h"
#include "runtime/formats/zip/zip_inflate.h"

namespace ckmap {
namespace {

constexpr size_t kCopyBuffer = size_t{1} << 20;
constexpr size_t kMaxOpenInflaters = 8;

uint32_t UpdateCrc(uint32_t crc, std::span<const std::byte> data) {
  return crc32_gzip_refl(crc, reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

Result<void> Compare(const ZipMember& member, uint32_t found) {
  // torch writes 0 under set_crc32_options(False) and skip_data(): there is nothing to compare
  // with, which is told when the file is opened.
  if (found == member.crc || member.crc == 0) return {};
  return Error(ErrorCode::kMalformed,
               fmt::format("zip member \"{}\": its bytes have CRC-32 {:08x}, the directory says {:08x}: the file is "
                           "damaged; get it again from where it came",
                           EscapeText(member.name), found, member.crc));
}

}  // namespace

std::string_view FirstZipMember(std::span<const std::byte> head) {
  constexpr std::string_view kMagic("PK\3\4", 4);
  constexpr size_t kHeader = 30;
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  if (!text.starts_with(kMagic) || text.size() < kHeader) return {};
  return text.substr(kHeader, LoadLittle<uint16_t>(text.data() + 26));
}

// The inflaters of the members that were read last, so that a sequential reader never starts over.
struct ZipArchive::Inflaters {
  struct Entry {
    size_t member;
    std::unique_ptr<ZipInflater> inflater;
    std::mutex busy;
    Entry(size_t index, std::unique_ptr<ZipInflater> reader) : member(index), inflater(std::move(reader)) {}
  };

  std::mutex lock;
  std::list<std::shared_ptr<Entry>> recent;  // latest first

  std::shared_ptr<Entry> Get(size_t index, const ZipMember& member, const InputFile& file) {
    const std::lock_guard guard(lock);
    for (auto it = recent.begin(); it != recent.end(); ++it) {
      if ((*it)->member != index) continue;
      recent.splice(recent.begin(), recent, it);
      return recent.front();
    }
    recent.push_front(std::make_shared<Entry>(
        index, std::make_unique<ZipInflater>(file, member.data_offset, member.packed_size, member.size)));
    if (recent.size() > kMaxOpenInflaters) recent.pop_back();
    return recent.front();
  }
};

ZipArchive::ZipArchive(const InputFile& file) : file_(&file), inflaters_(std::make_unique<Inflaters>()) {}
ZipArchive::ZipArchive(ZipArchive&&) noexcept = default;
ZipArchive& ZipArchive::operator=(ZipArchive&&) noexcept = default;
ZipArchive::~ZipArchive() = default;

Result<ZipArchive> ZipArchive::Open(const InputFile& file, int64_t begin, int64_t length, ZipNames names) {
  CKMAP_CHECK(begin >= 0 && length >= 0 && length <= file.size() - begin);
  CKMAP_ASSIGN_OR_RETURN(std::vector<ZipMember> members, ReadZipDirectory(file, begin, length, names));
  ZipArchive archive(file);
  archive.members_ = std::move(members);
  for (size_t i = 0; i < archive.members_.size(); ++i) {
    archive.index_.emplace(archive.members_[i].name, i);
  }
  return archive;
}

std::optional<size_t> ZipArchive::Find(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

Result<void> ZipArchive::Read(size_t member, int64_t offset, std::span<std::byte> out) const {
  const ZipMember& info = members_[member];
  CKMAP_CHECK(offset >= 0 && static_cast<int64_t>(out.size()) <= info.size - offset);
  if (!info.deflated) return file_->ReadAt(info.data_offset + offset, out);
  const auto entry = inflaters_->Get(member, info, *file_);
  const std::lock_guard guard(entry->busy);
  if (auto status = entry->inflater->Read(offset, out); !status.ok()) {
    return std::move(status).error().Context(fmt::format("zip member \"{}\"", EscapeText(info.name)));
  }
  return {};
}

Result<std::string> ZipArchive::ReadWhole(size_t member, int64_t max_bytes) const {
  const ZipMember& info = members_[member];
  if (info.size > max_bytes) {
    return Error(ErrorCode::kLimit, fmt::format("zip member \"{}\": {}, the limit is {}", EscapeText(info.name),
                                                FormatBytes(info.size), FormatBytes(max_bytes)));
  }
  std::string plain(static_cast<size_t>(info.size), '\0');
  CKMAP_RETURN_IF_ERROR(Read(member, 0, std::as_writable_bytes(std::span(plain))));
  return plain;
}

Result<void> ZipArchive::VerifyCrc(size_t member) const {
  const ZipMember& info = members_[member];
  if (info.crc == 0 && !info.deflated) return {};  // nothing to compare with: see Compare
  std::vector<std::byte> buffer(static_cast<size_t>(std::min<int64_t>(info.size, static_cast<int64_t>(kCopyBuffer))));
  uint32_t crc = 0;
  int64_t offset = 0;
  do {
    const auto count = static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(buffer.size()), info.size - offset));
    const auto part = std::span(buffer).first(count);
    CKMAP_RETURN_IF_ERROR(Read(member, offset, part));
    crc = UpdateCrc(crc, part);
    offset += static_cast<int64_t>(count);
  } while (offset < info.size);
  return Compare(info, crc);
}

Result<void> ZipArchive::CompareCrc(size_t member, uint32_t found) const { return Compare(members_[member], found); }

Result<void> ZipArchive::CheckCrc(size_t member, std::span<const std::byte> plain) const {
  return Compare(members_[member], UpdateCrc(0, plain));
}

}  // namespace ckmap
