// Paths that a file gives to others beside it (shards of an index, external data of a model): they never
// lead out of the folder of the file that names them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace ckmap {

// "" if `path` is relative and plain, otherwise what is wrong with it ("is absolute; …").
std::string ContainedPathProblem(std::string_view path);

// Whether every folder on the way to `file` is really below `folder`, links followed. True where there is
// nothing of that name.
bool FolderStaysInside(const std::filesystem::path& folder, const std::string& file);

// The same for the file itself too: it may not be a link that leads out.
bool FileStaysInside(const std::filesystem::path& folder, const std::string& file);

}  // namespace ckmap
