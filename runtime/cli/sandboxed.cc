#include "runtime/cli/sandboxed.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "runtime/base/output_names.h"
#include "runtime/sandbox/sandbox.h"
#include "runtime/plan/plan_io.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

// Files that name other files, which lie beside them.
bool NamesNeighbours(const std::string& path) {
  constexpr std::array<std::string_view, 3> kEndings = {".json", ".index", ".onnx"};
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view ending) { return path.ends_with(ending); });
}

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// The folder in which `path` will be made; that of a folder which is there already is itself.
void AddWritten(std::string path, std::vector<std::string>& folders) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (IsFolder(path)) folders.push_back(path);
  folders.push_back(FolderOf(path));
}

// Beside the source itself, what it takes to open it.
std::vector<std::string> HelpersOf(const SourceArgs& open, std::vector<std::string> more = {}) {
  more.push_back(open.key.file);
  more.push_back(open.strategy);
  return more;
}

}  // namespace

CommandPaths PathsOf(const InspectArgs& args) { return {{args.path}, HelpersOf(args.open), {}}; }

CommandPaths PathsOf(const MigrateArgs& args) {
  CommandPaths paths{{args.source, args.target}, HelpersOf(args.open, {args.plan, args.config, args.device_map, args.output_key.file}), {args.output, args.report}};
  for (std::string& folder : PackFolders()) paths.read.push_back(std::move(folder));
  return paths;
}

CommandPaths PathsOf(const LoadCheckArgs& args) { return {{args.source, args.target}, HelpersOf(args.open), {}}; }

CommandPaths PathsOf(const DiffArgs& args) { return {{args.a, args.b}, HelpersOf(args.open), {}}; }

CommandPaths PathsOf(const VerifyArgs& args) {
  CommandPaths paths{{args.output, args.source, args.target}, HelpersOf(args.open, {args.report, args.plan, args.config}), {}};
  for (std::string& folder : PackFolders()) paths.read.push_back(std::move(folder));
  return paths;
}

Result<void> EnterSandboxFor(const CommandPaths& paths, SandboxMode mode) {
  if (mode == SandboxMode::kOff) return {};
  SandboxRules rules;
  for (const std::string& path : paths.checkpoints) {
    if (path.empty()) continue;
    rules.read.push_back(path);
    if (NamesNeighbours(path)) rules.read.push_back(FolderOf(path));
  }
  for (const std::string& path : paths.read) {
    if (!path.empty()) rules.read.push_back(path);
  }
  for (const std::string& path : paths.written) {
    if (!path.empty()) AddWritten(path, rules.write);
  }
  const SandboxState state = EnterSandbox(rules);
  if (mode == SandboxMode::kOn || state.missing.empty()) return {};
  return Error(ErrorCode::kIo, fmt::format("--sandbox=require: {}", state.missing));
}

}  // namespace ckmap
