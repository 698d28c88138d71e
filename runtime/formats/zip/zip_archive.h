// ZIP archives (APPNOTE.TXT 6.3.10), read strictly: every way in which two readers could see two
// different archives in one file is an error. What counts is the central directory alone, and it
// must agree with the local headers, fill the file from the last member to the end record, and
// name no byte twice.
//
// Members are stored (method 0) or deflated (method 8). Nothing is ever unpacked to disk; names
// are only compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/result.h"

namespace ckmap {

struct ZipMember {
  std::string name;  // UTF-8, parts joined by '/'; ends in '/' for a folder
  bool deflated = false;
  uint16_t flags = 0;         // general purpose bits
  uint32_t crc = 0;           // CRC-32 of the plain bytes, as the directory says
  int64_t packed_size = 0;    // bytes in the file
  int64_t size = 0;           // plain bytes
  int64_t header_offset = 0;  // of the local header, in the file
  int64_t data_offset = 0;    // of the packed bytes, in the file
};

// What members' names are to the format: paths, where no reader may see another one than we do (`..`,
// names that differ only in case, …), or any text.
enum class ZipNames { kPaths, kAny };

// Name of the member whose local header is at the start of `head`; "" if there is none.
std::string_view FirstZipMember(std::span<const std::byte> head);

// Stated limits; a file beyond them is kLimit.
inline constexpr int64_t kMaxZipEntries = 1'000'000;
inline constexpr int64_t kMaxZipDirectory = int64_t{256} << 20;

// Immutable once open: const methods may be called from many threads.
class ZipArchive {
 public:
  // The archive that fills bytes [begin, begin + length) of `file` exactly. The file must outlive
  // the archive. kMalformed names the member and the byte; nothing of its data is read yet.
  static Result<ZipArchive> Open(const InputFile& file, int64_t begin, int64_t length,
                                 ZipNames names = ZipNames::kPaths);
  static Result<ZipArchive> Open(const InputFile& file) { return Open(file, 0, file.size()); }

  ZipArchive(ZipArchive&&) noexcept;
  ZipArchive& operator=(ZipArchive&&) noexcept;
  ~ZipArchive();

  // In the order of the central directory.
  const std::vector<ZipMember>& members() const { return members_; }

  // Index of the member of exactly this name.
  std::optional<size_t> Find(std::string_view name) const;

  // Fills `out` with plain bytes from `offset` on; the range must lie inside the member. Memory
  // stays bounded for deflated members too (restart points every few MiB).
  Result<void> Read(size_t member, int64_t offset, std::span<std::byte> out) const;

  // All plain bytes of a member. kLimit if there are more than `max_bytes`.
  Result<std::string> ReadWhole(size_t member, int64_t max_bytes) const;

  // Reads the member and compares its CRC-32 with the directory's.
  Result<void> VerifyCrc(size_t member) const;

  // The same for a CRC-32 that was found.
  Result<void> CompareCrc(size_t member, uint32_t found) const;

  // The same for bytes that were read already: all of the member.
  Result<void> CheckCrc(size_t member, std::span<const std::byte> plain) const;

 private:
  struct Inflaters;

  explicit ZipArchive(const InputFile& file);

  const InputFile* file_;
  std::vector<ZipMember> members_;
  std::unordered_map<std::string_view, size_t> index_;  // keys lie in members_
  std::unique_ptr<Inflaters> inflaters_;
};

}  // namespace ckmap
