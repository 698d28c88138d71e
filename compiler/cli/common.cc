#include <cstdlib>
#include <filesystem>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/diag/render_json.h"
#include "compiler/diag/render_text.h"
#include "compiler/program/loader.h"
#include "runtime/base/file.h"
#include "runtime/base/output_file.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

}  // namespace

bool UseColor(const std::string& color, int fd) {
  if (color != "auto") return color == "always";
  const char* none = std::getenv("NO_COLOR");
  return (none == nullptr || *none == '\0') && isatty(fd) == 1;
}

std::vector<std::string> PackPath(const std::vector<std::string>& includes) {
  std::vector<std::string> path = includes;
  if (const char* variable = std::getenv("CKMAP_PACKS"); variable != nullptr && *variable != '\0')
    path.emplace_back(variable);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return path;
  const fs::path root = program.parent_path().parent_path();
  if (fs::exists(root / "CMakeCache.txt", error)) path.emplace_back(CKMAP_SOURCE_RULES);
  path.push_back((root / "share/ckmap/packs").string());
  return path;
}

std::string ResolveFile(const std::string& name, const std::vector<std::string>& pack_path) {
  std::error_code error;
  if (fs::exists(name, error) || name.ends_with(".ckmap")) return name;
  const size_t slash = name.find('/');
  SourceMap sources;
  DiagnosticSink sink;
  const FoundPack found = FindPack(name.substr(0, slash), LoadOptions{pack_path, {}}, sources, sink);
  if (found.folder.empty()) return name;
  const std::string wanted = slash == std::string::npos ? "" : name.substr(slash + 1);
  std::string file = wanted.empty() ? found.pack.library : "";
  for (const PackMigration& migration : found.pack.migrations) {
    if (migration.name == wanted || (wanted.empty() && file.empty() && found.pack.migrations.size() == 1))
      file = migration.file;
  }
  if (!file.empty()) return (fs::path(found.folder) / file).string();
  // What its pack.yaml says wrong is why it has no such file.
  if (!found.pack.valid)
    fmt::print(stderr, "{}", RenderText(sink.Sorted(), sources, {UseColor("auto", STDERR_FILENO)}));
  return name;
}

void PrintDiagnostics(const CompileResult& result, const CompilerArgs& args) {
  if (args.format == "json") {
    fmt::print("{}", RenderJson(result.diagnostics, result.sources));
  } else {
    fmt::print(stderr, "{}", RenderText(result.diagnostics, result.sources, {UseColor(args.color, STDERR_FILENO)}));
  }
}

int ExitCode(const CompileResult& result) {
  if (result.plan) return 0;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    const bool main_file = diagnostic.primary.file.index == 0 && diagnostic.primary.end == 0;
    if (diagnostic.kind == DiagnosticKind::kFileNotRead && main_file) return static_cast<int>(ErrorCode::kIo);
    if (diagnostic.kind == DiagnosticKind::kPlanLimit) return static_cast<int>(ErrorCode::kLimit);
  }
  return static_cast<int>(ErrorCode::kMismatch);
}

int PrintError(const Error& error) {
  fmt::print(stderr, "ckmapc: error: {}\n", error.message());
  return static_cast<int>(error.code());
}

Result<void> WriteNewText(const std::string& path, std::string_view data) {
  std::error_code error;
  if (fs::exists(path, error) && fs::file_size(path, error) > 0) {
    return Error(
        ErrorCode::kUsage,
        path + ": is there already, and may have been edited: choose another name with -o, or remove it first");
  }
  return WriteWholeFile(path, data, {.force = true, .fsync = true});
}

Result<void> WritePlanFile(const std::string& path, std::string_view data) {
  std::error_code error;
  if (!path.ends_with(".ckplan") && fs::is_regular_file(path, error) && fs::file_size(path, error) > 0) {
    return Error(ErrorCode::kUsage, path +
                                        ": is there already, and only a .ckplan is replaced: choose another name with "
                                        "-o, or remove it first");
  }
  return WriteWholeFile(path, data, {.force = true, .fsync = true});
}

Result<void> WriteInFolder(const std::string& folder, const std::string& path, std::string_view data) {
  OutputSet set;
  CKMAP_RETURN_IF_ERROR(set.AddFolder(folder));
  CKMAP_ASSIGN_OR_RETURN(const size_t file, set.Add(path, static_cast<int64_t>(data.size()), true));
  if (Result<void> written = WriteAt(set.fd(file), 0, std::as_bytes(std::span(data))); !written)
    return std::move(written).error().Context(path);
  return set.Publish({.force = true, .fsync = true});
}

}  // namespace ckmap
