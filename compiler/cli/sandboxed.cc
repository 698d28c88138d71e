#include "compiler/cli/sandboxed.h"

#include <cctype>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFiles = 1000;  // as many as a program may have
constexpr int64_t kMaxFileBytes = int64_t{16} << 20;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// The texts after the word `use`, wherever it stands: more than are used, never fewer.
std::vector<std::string> UsedPaths(std::string_view text) {
  std::vector<std::string> paths;
  for (size_t at = 0; (at = text.find("use", at)) != std::string_view::npos;) {
    at += 3;
    size_t quote = at;
    while (quote < text.size() && IsSpace(text[quote])) ++quote;
    if (quote == text.size() || text[quote] != '"') continue;
    const size_t end = text.find('"', quote + 1);
    if (end == std::string_view::npos) break;
    paths.emplace_back(text.substr(quote + 1, end - quote - 1));
    at = end + 1;
  }
  return paths;
}

// A file of rules, what is beside it by name, and all that it uses by path.
void AddRules(const std::string& path, std::set<std::string>& read) {
  std::vector<fs::path> files = {path, fs::path(path).parent_path() / (fs::path(path).stem().string() + ".test.ckmap")};
  std::set<fs::path> seen;
  for (size_t i = 0; i < files.size() && files.size() < kMaxFiles; ++i) {
    const fs::path file = files[i].lexically_normal();
    if (!seen.insert(file).second) continue;
    read.insert(file.string());
    read.insert((file.parent_path() / "pack.yaml").string());
    const auto text = PeekTextFile(file.string(), kMaxFileBytes);
    if (!text) continue;
    for (const std::string& used : UsedPaths(*text)) files.push_back(file.parent_path() / used);
  }
}

void AddCheckpoint(const std::string& path, std::set<std::string>& read) {
  if (path.empty()) return;
  read.insert(path);
  // Shards of an index and the external data of a model lie beside it.
  const fs::path folder = fs::path(path).parent_path();
  for (const std::string_view ending : {".json", ".index", ".onnx"}) {
    if (path.ends_with(ending)) read.insert(folder.empty() ? "." : folder.string());
  }
}

}  // namespace

Result<void> EnterCompilerSandbox(const CompilerPaths& paths, const std::vector<std::string>& pack_path,
                                  const std::string& mode) {
  if (mode == "off") return {};
  std::set<std::string> read(pack_path.begin(), pack_path.end());
  for (const std::string& path : paths.rules) AddRules(path, read);
  for (const std::string& path : paths.checkpoints) AddCheckpoint(path, read);
  read.insert(paths.read.begin(), paths.read.end());
  if (paths.reads_all) read.insert("/");
  SandboxRules rules;
  for (const std::string& path : read) {
    if (!path.empty()) rules.read.push_back(path);
  }
  rules.outputs = paths.outputs;
  rules.memory_files = paths.memory_files;
  const SandboxState state = EnterSandbox(rules);
  for (const std::string& folder : state.open_folders) {
    fmt::print(
        stderr,
        "note: the sandbox lets this process change all files in `{}`: its file system has no files without names\n",
        EscapeText(folder));
  }
  if (state.missing.empty()) return {};
  if (mode == "require") return Error(ErrorCode::kIo, fmt::format("--sandbox=require: {}", state.missing));
  fmt::print(stderr, "note: the sandbox is not complete: {}\n", state.missing);
  return {};
}

}  // namespace ckmap
