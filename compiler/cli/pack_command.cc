#include <algorithm>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/diag/did_you_mean.h"
#include "compiler/program/loader.h"

namespace ckmap {
namespace {

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

int PackListCommand(const CompilerArgs& args) {
  const LoadOptions options{PackPath(args.includes), {}};
  size_t width = 4;
  const std::vector<std::string> names = ListPacks(options);
  for (const std::string& name : names) width = std::max(width, name.size());
  for (const std::string& name : names) {
    SourceMap sources;
    DiagnosticSink sink;
    const Pack pack = FindPack(name, options, sources, sink).pack;
    fmt::print("{:<{}}  {:<8}  {}\n", name, width, pack.version, pack.summary);
  }
  return 0;
}

int PackShowCommand(const CompilerArgs& args, const std::string& name) {
  const LoadOptions options{PackPath(args.includes), {}};
  CompileResult result;
  DiagnosticSink sink;
  const FoundPack found = FindPack(name, options, result.sources, sink);
  if (found.folder.empty()) {
    const std::string nearest = DidYouMean(name, ListPacks(options));
    return PrintError(Error(ErrorCode::kUsage, fmt::format("there is no pack `{}` on the pack path{}{}", name,
                                                           nearest.empty() ? "" : "; ", nearest)));
  }
  result.diagnostics = sink.Sorted();
  PrintDiagnostics(result, args);
  const Pack& pack = found.pack;
  fmt::print("{} {}\n", pack.name, pack.version);
  if (!pack.summary.empty()) fmt::print("  {}\n", pack.summary);
  fmt::print("  folder: {}\n", found.folder);
  if (!pack.frameworks.empty()) fmt::print("  frameworks: {}\n", Joined(pack.frameworks));
  if (!pack.library.empty()) fmt::print("  library: {}\n", pack.library);
  for (const PackMigration& migration : pack.migrations) {
    fmt::print("  migration: {}/{}\n", pack.name, migration.name);
    if (!migration.verified.empty()) fmt::print("    verified on: {}\n", Joined(migration.verified));
  }
  for (const PackParam& param : pack.params) {
    fmt::print("  param: {}: {}{}{}\n", param.name, param.type, param.doc.empty() ? "" : "  # ", param.doc);
  }
  return sink.has_errors() ? static_cast<int>(ErrorCode::kMismatch) : 0;
}

}  // namespace ckmap
