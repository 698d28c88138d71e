#include "compiler/testing/suite.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTestEnding = ".test.ckmap";

// The file, and the tests beside it.
void AddFile(const fs::path& path, const std::string& shown_folder, std::vector<SuiteFile>& files) {
  const auto add = [&](const fs::path& file) {
    const std::string name = file.filename().string();
    const bool known =
        std::any_of(files.begin(), files.end(), [&](const SuiteFile& other) { return other.path == file.string(); });
    if (!known) files.push_back({file.string(), shown_folder.empty() ? file.string() : shown_folder + "/" + name});
  };
  add(path);
  if (path.string().ends_with(kTestEnding)) return;
  const fs::path tests = path.parent_path() / (path.stem().string() + std::string(kTestEnding));
  std::error_code error;
  if (fs::exists(tests, error)) add(tests);
}

}  // namespace

Result<Suite> FindSuite(const std::string& name, const LoadOptions& options) {
  Suite suite;
  suite.name = name;
  std::error_code error;
  if (name.ends_with(".ckmap") || fs::is_regular_file(name, error)) {
    AddFile(name, "", suite.files);
    return suite;
  }
  const size_t slash = name.find('/');
  SourceMap sources;
  DiagnosticSink sink;
  const FoundPack found = FindPack(name.substr(0, slash), options, sources, sink);
  if (found.folder.empty()) {
    const std::string nearest = DidYouMean(name, ListPacks(options));
    return Error(ErrorCode::kUsage, fmt::format("{}: there is no such file, and no such pack on the pack path{}{}",
                                                name, nearest.empty() ? "" : "; ", nearest));
  }
  const std::string wanted = slash == std::string::npos ? "" : name.substr(slash + 1);
  suite.pack = found.pack.name;
  suite.folder = found.folder;
  std::vector<std::string> known;
  for (const PackMigration& migration : found.pack.migrations) {
    known.push_back(found.pack.name + "/" + migration.name);
    if (!wanted.empty() && migration.name != wanted) continue;
    AddFile(fs::path(found.folder) / migration.file, suite.pack, suite.files);
    suite.migrations.push_back(migration);
  }
  if (wanted.empty() && !found.pack.library.empty())
    AddFile(fs::path(found.folder) / found.pack.library, suite.pack, suite.files);
  if (suite.files.empty()) {
    return Error(ErrorCode::kUsage, fmt::format("pack `{}` has no migration `{}`: it offers {}", suite.pack, wanted,
                                                ListOf(known, "and")));
  }
  return suite;
}

}  // namespace ckmap
