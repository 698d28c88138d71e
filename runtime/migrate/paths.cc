#include "runtime/migrate/paths.h"

#include <filesystem>
#include <system_error>

#include <fmt/format.h>

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
bool IsIndex(const fs::path& path) { return path.extension() == ".json" || path.extension() == ".index"; }

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
    return Error(ErrorCode::kUsage, fmt::format("output `{}` {} (`{}`): inputs are never changed, choose another place",
                                                EscapeText(out), why, EscapeText(input)));
  }
  return {};
}

}  // namespace ckmap
