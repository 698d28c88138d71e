#include "runtime/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/run_files.h"

namespace ckmap {

Error IoError(std::string_view what, int error_number) {
  return {ErrorCode::kIo, fmt::format("{}: {}", what, std::strerror(error_number))};
}

Result<InputFile> InputFile::Open(const std::string& path, bool enter) {
  InputFile file;
  file.path_ = path;
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  do {
    file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (file.fd_ < 0 && errno == EINTR);
  if (file.fd_ < 0) return IoError("cannot open", errno).Context(path);
  struct stat status {};
  if (::fstat(file.fd_, &status) != 0) return IoError("cannot stat", errno).Context(path);
  if (!S_ISREG(status.st_mode)) {
    return Error(ErrorCode::kMalformed, path + ": not a regular file (a folder, pipe or device cannot be read as one)");
  }
  file.stamp_ = StampOf(status);
  if (enter) CKMAP_RETURN_IF_ERROR(EnterInput(path, file.stamp_));
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept { *this = std::move(other); }

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  stamp_ = other.stamp_;
  path_ = std::move(other.path_);
  return *this;
}

InputFile::~InputFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> InputFile::ReadAt(int64_t offset, std::span<std::byte> out) const {
  Result<void> read = ckmap::ReadAt(fd_, offset, out);
  if (!read) return std::move(read).error().Context(path_);
  return {};
}

Result<void> InputFile::CheckUnchanged() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return IoError("cannot stat", errno).Context(path_);
  FileStamp now = StampOf(status);
  const bool has_name = ::stat(path_.c_str(), &status) == 0;
  if (!has_name) now.changed_ns = stamp_.changed_ns;  // to take a name away, or to move it, is a change of this kind
  std::string change = ChangeSince(stamp_, now);
  if (change.empty() && has_name) change = ChangeSince(stamp_, StampOf(status));
  if (!change.empty()) return Error(ErrorCode::kIo, fmt::format("{}: {}", path_, change));
  return {};
}

namespace {

Result<std::string> ReadText(const InputFile& file, int64_t max_bytes) {
  if (file.size() > max_bytes) {
    return Error(ErrorCode::kLimit, fmt::format("{}: {} bytes, the limit is {}", file.path(), file.size(), max_bytes));
  }
  std::string text(static_cast<size_t>(file.size()), '\0');
  CKMAP_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(text))));
  return text;
}

}  // namespace

Result<std::string> ReadTextFile(const std::string& path, int64_t max_bytes) {
  CKMAP_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  return ReadText(file, max_bytes);
}

Result<std::string> PeekTextFile(const std::string& path, int64_t max_bytes) {
  CKMAP_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path, false));
  return ReadText(file, max_bytes);
}

Result<void> ReadAt(int fd, int64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd, out.data(), out.size(), offset);
    if (count < 0) {
      if (errno == EINTR) continue;
      return IoError("cannot read", errno);
    }
    if (count == 0) {
      return Error(ErrorCode::kIo,
                   fmt::format("ends at byte {}, {} bytes were expected there (it changed while it was read)", offset,
                               out.size()));
    }
    offset += count;
    out = out.subspan(static_cast<size_t>(count));
  }
  return {};
}

Result<void> WriteAt(int fd, int64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t count = ::pwrite(fd, data.data(), data.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return IoError("cannot write", count < 0 ? errno : EIO);
    offset += count;
    data = data.subspan(static_cast<size_t>(count));
  }
  return {};
}

}  // namespace ckmap
