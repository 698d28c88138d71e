// Files by descriptor: every call is checked, short reads and EINTR are handled, errors name the
// path and the system's reason (ErrorCode::kIo).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/base/file_stamp.h"
#include "runtime/base/result.h"

namespace ckmap {

// A regular file open for reading. Remembers what it was when it was opened.
class InputFile {
 public:
  // kIo if it cannot be opened; kMalformed if it is no regular file (a pipe, a device, a folder). Enters it in the list
  // of what the run reads (run_files.h).
  static Result<InputFile> Open(const std::string& path) { return Open(path, true); }
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  ~InputFile();

  int fd() const { return fd_; }
  int64_t size() const { return stamp_.size; }
  const std::string& path() const { return path_; }

  // Fills `out` from byte `offset`. A file that ends before is kIo ("changed while it was read").
  Result<void> ReadAt(int64_t offset, std::span<std::byte> out) const;

  // kIo if size or a time differ from those at opening, or if the path now leads to another file: the
  // shards of a checkpoint that is replaced meanwhile would be a mixture. A file that was removed is whole.
  Result<void> CheckUnchanged() const;

 private:
  InputFile() = default;
  static Result<InputFile> Open(const std::string& path, bool enter);
  friend Result<std::string> PeekTextFile(const std::string& path, int64_t max_bytes);

  int fd_ = -1;
  FileStamp stamp_;
  std::string path_;
};

// The whole file as text; kLimit if it is larger than `max_bytes`.
Result<std::string> ReadTextFile(const std::string& path, int64_t max_bytes = int64_t{256} << 20);

// The same for a file that is not an input of the run: one that the run may remove.
Result<std::string> PeekTextFile(const std::string& path, int64_t max_bytes = int64_t{256} << 20);

// "cannot open: No such file or directory", from errno.
Error IoError(std::string_view what, int error_number);

// Fills `out` from byte `offset`; kIo if the file ends before.
Result<void> ReadAt(int fd, int64_t offset, std::span<std::byte> out);

// Writes all of `data` at `offset`.
Result<void> WriteAt(int fd, int64_t offset, std::span<const std::byte> data);

}  // namespace ckmap
