#include "runtime/formats/zip/zip_writer.h"

#include <span>
#include <utility>

#include "runtime/base/file.h"
#include "runtime/base/file_crc.h"
#include "runtime/base/little_endian.h"
#include "runtime/base/parallel.h"

namespace ckmap {
namespace {

constexpr int64_t kLocalHeaderBytes = 30;
constexpr uint64_t kInZip64 = 0xffffffff;
constexpr int64_t kLocal64Size = 20;  // an extra field with both sizes

}  // namespace

bool ZipWriter::Is64(const Member& member) { return static_cast<uint64_t>(member.size) >= kInZip64; }

// Name and flags (bit 11: UTF-8) as in both headers.
std::string ZipWriter::CommonHeader(const Member& member, size_t extra_size) {
  const uint64_t size = Is64(member) ? kInZip64 : static_cast<uint64_t>(member.size);
  return Little(Is64(member) ? 45 : 20, 2) + Little(0x800, 2) + Little(0, 2) + Little(0, 2) + Little(0x21, 2) +
         Little(member.crc, 4) + Little(size, 4) + Little(size, 4) + Little(member.name.size(), 2) +
         Little(extra_size, 2);
}

// The local header; its extra fields fill up to the aligned data ("FB" as torch does it).
std::string ZipWriter::LocalHeader(const Member& member) {
  std::string extra;
  if (Is64(member)) {
    const auto size = static_cast<uint64_t>(member.size);
    extra = Little(1, 2) + Little(16, 2) + Little(size, 8) + Little(size, 8);
  }
  const auto room = static_cast<size_t>(member.data_offset - member.header_offset - kLocalHeaderBytes) -
                    member.name.size() - extra.size();
  extra += "FB" + Little(room - 4, 2) + std::string(room - 4, 'Z');
  return Little(0x04034b50, 4) + CommonHeader(member, extra.size()) + member.name + extra;
}

std::string ZipWriter::DirectoryEntry(const Member& member) {
  std::string values;
  if (Is64(member))
    values = Little(static_cast<uint64_t>(member.size), 8) + Little(static_cast<uint64_t>(member.size), 8);
  uint64_t offset = static_cast<uint64_t>(member.header_offset);
  if (offset >= kInZip64) {
    values += Little(offset, 8);
    offset = kInZip64;
  }
  const std::string extra = values.empty() ? "" : Little(1, 2) + Little(values.size(), 2) + values;
  return Little(0x02014b50, 4) + Little(45, 2) + CommonHeader(member, extra.size()) + Little(0, 2) + Little(0, 2) +
         Little(0, 2) + Little(0, 4) + Little(offset, 4) + member.name + extra;
}

// Both end records and the locator, as torch always writes them.
std::string ZipWriter::EndRecords(uint64_t entries, uint64_t offset, uint64_t size) {
  const auto narrow = [](uint64_t value, uint64_t most) { return value < most ? value : most; };
  return Little(0x06064b50, 4) + Little(44, 8) + Little(45, 2) + Little(45, 2) + Little(0, 8) + Little(entries, 8) +
         Little(entries, 8) + Little(size, 8) + Little(offset, 8) + Little(0x07064b50, 4) + Little(0, 4) +
         Little(offset + size, 8) + Little(1, 4) + Little(0x06054b50, 4) + Little(0, 4) +
         Little(narrow(entries, 0xffff), 2) + Little(narrow(entries, 0xffff), 2) + Little(narrow(size, kInZip64), 4) +
         Little(narrow(offset, kInZip64), 4) + Little(0, 2);
}

size_t ZipWriter::Add(std::string name, std::string content, int64_t size) {
  CKMAP_CHECK(static_cast<int64_t>(content.size()) <= size);
  Member member;
  member.name = std::move(name);
  member.content = std::move(content);
  member.size = size;
  members_.push_back(std::move(member));
  return members_.size() - 1;
}

int64_t ZipWriter::body_offset(size_t member) const {
  return members_[member].data_offset + static_cast<int64_t>(members_[member].content.size());
}

void ZipWriter::ReplaceContent(std::string_view name, std::string content) {
  for (Member& member : members_) {
    if (member.name != name) continue;
    CKMAP_CHECK(member.content.size() == content.size());
    member.content = std::move(content);
    return;
  }
  CKMAP_CHECK(false);
}

Result<void> ZipWriter::LayOut() {
  int64_t at = 0;
  for (Member& member : members_) {
    member.header_offset = at;
    const auto name_size = static_cast<int64_t>(member.name.size());
    constexpr int64_t kPaddingHeader = 4;
    at += kLocalHeaderBytes + name_size + (Is64(member) ? kLocal64Size : 0) + kPaddingHeader;
    at = (at + kZipAlignment - 1) / kZipAlignment * kZipAlignment;
    member.data_offset = at;
    if (member.size > (int64_t{1} << 62) - at) {
      return Error(ErrorCode::kLimit, "the tensors together exceed 2^62 bytes");
    }
    at += member.size;
    directory_size_ += static_cast<int64_t>(DirectoryEntry(member).size());
  }
  directory_offset_ = at;
  total_ = directory_offset_ + directory_size_ + static_cast<int64_t>(EndRecords(0, 0, 0).size());
  return {};
}

Result<void> ZipWriter::WriteMember(int fd, Member& member) {
  const auto content = std::as_bytes(std::span(member.content));
  CKMAP_RETURN_IF_ERROR(WriteAt(fd, member.data_offset, content));
  CKMAP_ASSIGN_OR_RETURN(member.crc, FileCrc32(fd, member.data_offset, member.size, DefaultThreads()));
  const std::string header = LocalHeader(member);
  return WriteAt(fd, member.header_offset, std::as_bytes(std::span(header)));
}

Result<void> ZipWriter::Finish(int fd) {
  std::string directory;
  for (Member& member : members_) {
    CKMAP_RETURN_IF_ERROR(WriteMember(fd, member));
    directory += DirectoryEntry(member);
  }
  directory +=
      EndRecords(members_.size(), static_cast<uint64_t>(directory_offset_), static_cast<uint64_t>(directory_size_));
  return WriteAt(fd, directory_offset_, std::as_bytes(std::span(directory)));
}

}  // namespace ckmap
