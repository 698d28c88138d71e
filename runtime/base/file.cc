#include "runtime/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace ckmap {
namespace {

int64_t ChangeTime(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

Error IoError(std::string_view what, int error_number) {
  return {ErrorCode::kIo, fmt::format("{}: {}", what, std::strerror(error_number))};
}

Result<InputFile> InputFile::Open(const std::string& path) {
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
    return Error(ErrorCode::kMalformed,
                 path + ": not a regular file (a folder, pipe or device cannot be read as one)");
  }
  file.size_ = status.st_size;
  file.device_ = status.st_dev;
  file.inode_ = status.st_ino;
  file.changed_ns_ = ChangeTime(status);
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept { *this = std::move(other); }

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  size_ = other.size_;
  device_ = other.device_;
  inode_ = other.inode_;
  changed_ns_ = other.changed_ns_;
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
  if (status.st_size != size_ || ChangeTime(status) != changed_ns_) {
    return Error(ErrorCode::kIo, path_ + ": changed while it was read");
  }
  if (::stat(path_.c_str(), &status) == 0 && (status.st_dev != device_ || status.st_ino != inode_)) {
    return Error(ErrorCode::kIo, path_ + ": was replaced by another file while it was read");
  }
  return {};
}

Result<std::string> ReadTextFile(const std::string& path, int64_t max_bytes) {
  CKMAP_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  if (file.size() > max_bytes) {
    return Error(ErrorCode::kLimit, fmt::format("{}: {} bytes, the limit is {}", path, file.size(), max_bytes));
  }
  std::string text(static_cast<size_t>(file.size()), '\0');
  CKMAP_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(text))));
  return text;
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
