#include "runtime/cli/paths.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <span>
#include <system_error>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

bool Same(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

// The folder of a path as it is written; "." for a bare name.
fs::path FolderOf(const fs::path& path) {
  const fs::path folder = path.parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// An index names its shards, which lie beside it.
bool IsIndex(const fs::path& path) {
  return path.extension() == ".json" || path.extension() == ".index";
}

}  // namespace

bool PathExists(const std::string& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

Result<void> CheckOutputApart(const std::string& out, const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {
    std::string why;
    if (Same(out, input)) {
      why = "is what is read";
    } else if ((IsFolder(input) && Same(FolderOf(out), input)) ||
               (!IsFolder(input) && IsIndex(input) && Same(FolderOf(out), FolderOf(input)))) {
      why = "lies among the files that are read";
    } else if (IsFolder(out) && !IsFolder(input) && Same(out, FolderOf(input))) {
      why = "is the folder that holds what is read";
    }
    if (why.empty()) continue;
    return Error(
        ErrorCode::kUsage,
        fmt::format("output `{}` {} (`{}`): inputs are never changed, choose another place",
                    EscapeText(out), why, EscapeText(input)));
  }
  return {};
}

Result<void> WriteWholeFile(const std::string& path, std::string_view text, bool replace) {
  if (!replace && PathExists(path)) {
    return Error(ErrorCode::kUsage, fmt::format("{} exists already; --force replaces it", path));
  }
  const std::string temporary =
      (FolderOf(path) / fmt::format(".{}.{}.tmp", fs::path(path).filename().string(), ::getpid()))
          .string();
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return IoError("cannot create", errno).Context(path);
  Result<void> result = WriteAt(fd, 0, std::as_bytes(std::span(text)));
  if (::close(fd) != 0 && result) result = IoError("cannot write", errno);
  if (result && ::rename(temporary.c_str(), path.c_str()) != 0)
    result = IoError("cannot rename", errno);
  if (result) return {};
  ::unlink(temporary.c_str());
  return std::move(result).error().Context(path);
}

}  // namespace ckmap
