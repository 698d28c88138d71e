#include "runtime/formats/storage/contained_path.h"

#include <algorithm>
#include <new>
#include <system_error>

#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

// The path without links. Throws std::bad_alloc where that takes memory that is not there.
fs::path Canonical(const fs::path& path, std::error_code& error) {
  fs::path real = fs::canonical(path, error);
  if (error == std::errc::not_enough_memory) throw std::bad_alloc();
  return real;
}

bool IsInside(const fs::path& folder, const fs::path& path) {
  std::error_code error;
  const fs::path root = Canonical(folder, error);
  if (error) return false;
  const fs::path real = Canonical(path, error);
  // What leads nowhere cannot be opened, which is told in other words. Of all else nobody knows where it leads.
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory ||
      error == std::errc::too_many_symbolic_link_levels) {
    return true;
  }
  if (error) return false;
  return std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first == root.end();
}

}  // namespace

std::string ContainedPathProblem(std::string_view path) {
  if (path.empty()) return "is empty";
  if (!TensorNameProblem(path).empty()) return "is no usable file name";
  if (path[0] == '/') return "is absolute; it must lie in the same folder";
  if (path.find('\\') != std::string_view::npos) return "holds a backslash";
  if (path.find(':') != std::string_view::npos) return "holds a colon";
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return "leads out of the folder";
    begin = end + 1;
  }
  return "";
}

bool FolderStaysInside(const fs::path& folder, const std::string& file) {
  return IsInside(folder, (folder / file).parent_path());
}

bool FileStaysInside(const fs::path& folder, const std::string& file) { return IsInside(folder, folder / file); }

}  // namespace ckmap
