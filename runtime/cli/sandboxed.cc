#include "runtime/cli/sandboxed.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "runtime/base/output_names.h"
#include "runtime/base/text.h"
#include "runtime/formats/create.h"
#include "runtime/migrate/detect.h"
#include "runtime/plan/plan_io.h"
#include "runtime/sandbox/sandbox.h"

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

// Bytes of the files of a checkpoint, roughly.
uint64_t BytesOf(const std::string& path) {
  std::error_code error;
  const std::string whole = NamesNeighbours(path) ? FolderOf(path) : path;
  if (!IsFolder(whole)) return fs::file_size(whole, error);
  uint64_t bytes = 0;
  for (fs::recursive_directory_iterator entry(whole, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code not_a_file;
    const uint64_t size = entry->file_size(not_a_file);
    if (!not_a_file) bytes += size;
  }
  return bytes;
}

bool IsMindFormers(const MigrateArgs& args) { return ParseOutputFormat(args.to) == OutputFormat::kMindFormers; }

// How many files an output may need at once. Dtypes may become wider, and compressed bytes are fewer than they hold.
size_t FilesOf(const MigrateArgs& args) {
  constexpr uint64_t kGrowth = 16;
  constexpr uint64_t kMost = 4096;
  uint64_t files = 0;
  if (IsMindFormers(args)) {
    files = 2;  // of the network and of its optimizer, for each rank, and two texts
    for (const MeshAxis& axis : args.mesh) files *= static_cast<uint64_t>(axis.count);
    files += 2;
  } else if (args.max_shard_size <= 0) {
    return args.encrypt.empty() ? 1 : 2;
  } else {
    uint64_t bytes = args.source.empty() ? 0 : BytesOf(args.source);
    for (const NamedPath& named : args.named_sources) bytes += BytesOf(named.path);
    files = kGrowth + kGrowth * (bytes / static_cast<uint64_t>(args.max_shard_size));
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return static_cast<size_t>(std::min(files, kMost));
  // Most systems allow far more than they give: all shards are open at once.
  const rlim_t wanted = std::min<rlim_t>(2 * std::min(files, kMost), limit.rlim_max);
  if (const rlimit raised{wanted, limit.rlim_max}; limit.rlim_cur < wanted && ::setrlimit(RLIMIT_NOFILE, &raised) == 0)
    limit.rlim_cur = wanted;
  return static_cast<size_t>(std::min({files, kMost, uint64_t{limit.rlim_cur} / 2}));
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
  CommandPaths paths{{args.source, args.target},
                     HelpersOf(args.open, {args.plan, args.config, args.device_map, args.output_key.file}),
                     {}};
  if (args.detect && args.config.empty()) paths.read.push_back(ConfigBeside(args.source));
  for (const NamedPath& named : args.named_sources) paths.checkpoints.push_back(named.path);
  if (!args.output.empty()) {
    const bool folder = IsMindFormers(args) || (args.max_shard_size > 0 && !args.output.ends_with(".safetensors"));
    paths.outputs.push_back({args.output, folder, args.force, FilesOf(args)});
  }
  for (const std::string& report : args.reports) paths.outputs.push_back({report, false, args.force, 1});
  for (std::string& folder : PackFolders()) paths.read.push_back(std::move(folder));
  return paths;
}

CommandPaths PathsOf(const LoadCheckArgs& args) { return {{args.source, args.target}, HelpersOf(args.open), {}}; }

CommandPaths PathsOf(const DiffArgs& args) { return {{args.a, args.b}, HelpersOf(args.open), {}}; }

CommandPaths PathsOf(const VerifyArgs& args) {
  CommandPaths paths{{args.output, args.source, args.target, args.against},
                     HelpersOf(args.open, {args.report, args.plan, args.config}),
                     {}};
  for (const NamedPath& named : args.named_sources) paths.checkpoints.push_back(named.path);
  for (std::string& folder : PackFolders()) paths.read.push_back(std::move(folder));
  return paths;
}

CommandPaths PathsOfConversion(const FolderArgs& args, const std::string& staged) {
  CommandPaths paths{{args.folder, args.target}, {}, {}};
  constexpr size_t kMostFiles = 256;  // with the weights, and whatever goes along
  paths.outputs.push_back({staged, true, false, kMostFiles});
  for (std::string& folder : PackFolders()) paths.read.push_back(std::move(folder));
  return paths;
}

CommandPaths PathsOfVerification(const FolderArgs& args, const std::string& staged) {
  CommandPaths paths{{args.folder, staged}, {}, {}};
  for (std::string& folder : PackFolders()) paths.read.push_back(std::move(folder));
  return paths;
}

Result<void> EnterSandboxFor(const CommandPaths& paths, SandboxMode mode, const Console& console) {
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
  rules.outputs = paths.outputs;
  const SandboxState state = EnterSandbox(rules);
  for (const std::string& folder : state.open_folders) {
    console.Say(fmt::format(
        "note: the sandbox lets this process change all files in `{}`: its file system has no files without names\n",
        EscapeText(folder)));
  }
  if (state.missing.empty()) return {};
  if (mode == SandboxMode::kOn) {
    console.Say(fmt::format("note: the sandbox is not complete: {}\n", state.missing));
    return {};
  }
  return Error(ErrorCode::kIo, fmt::format("--sandbox=require: {}", state.missing));
}

}  // namespace ckmap
