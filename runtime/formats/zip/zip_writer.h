// Writes a zip archive of stored members whose bytes come from many threads: every place is decided
// before a byte is written, checksums are computed from what lies in the file at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

// Members' bytes begin at multiples of this, so that readers can map them.
inline constexpr int64_t kZipAlignment = 64;

class ZipWriter {
 public:
  // A member of `size` bytes: `content`, and behind it what others will have written when Finish is
  // called. Gives its index. All members are added before LayOut.
  size_t Add(std::string name, std::string content, int64_t size);
  size_t Add(std::string name, std::string content) {
    const auto size = static_cast<int64_t>(content.size());
    return Add(std::move(name), std::move(content), size);
  }

  // Before Finish: other content, of the same length, for the member of this name.
  void ReplaceContent(std::string_view name, std::string content);

  // Decides where everything lies. kLimit beyond 2^62 bytes.
  Result<void> LayOut();

  // Both after LayOut: size of the file, and where in it the bytes behind a member's content begin.
  int64_t total_bytes() const { return total_; }
  int64_t body_offset(size_t member) const;

  // Writes contents, headers and the directory into the file, which has its full size.
  Result<void> Finish(int fd);

 private:
  struct Member {
    std::string name;
    std::string content;
    int64_t size = 0;
    int64_t header_offset = 0;
    int64_t data_offset = 0;
    uint32_t crc = 0;
  };
  static bool Is64(const Member& member);
  static std::string CommonHeader(const Member& member, size_t extra_size);
  static std::string LocalHeader(const Member& member);
  static std::string DirectoryEntry(const Member& member);
  static std::string EndRecords(uint64_t entries, uint64_t offset, uint64_t size);
  static Result<void> WriteMember(int fd, Member& member);

  std::vector<Member> members_;
  int64_t directory_offset_ = 0;
  int64_t directory_size_ = 0;
  int64_t total_ = 0;
};

}  // namespace ckmap
