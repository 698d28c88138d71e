#include <algorithm>
#include <filesystem>
#include <span>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/diag/did_you_mean.h"
#include "compiler/program/loader.h"
#include "runtime/base/file.h"
#include "runtime/base/output_file.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

constexpr fmt::format_string<const std::string&, const std::string&> kNewPack = R"(name: {}
version: 0.1.0
edition: 1
summary: {}, from PyTorch to MindSpore.
frameworks: [pytorch, mindspore]
migrations:
  - file: torch2mindspore.ckmap
    summary: one line that says which networks these are.
)";

constexpr const char* kNewRules = R"(ckmap 1;

/// Which networks these rules are for.
migration torch2mindspore from pytorch to mindspore;

use std;

rename {
  fc -> dense;  # whole parts of a name: replace this by what differs in your network
}
)";

// It fails as soon as a rule is changed: what it expects is written out.
constexpr const char* kNewTest = R"(ckmap 1;
use "torch2mindspore.ckmap";

test "a linear layer gets its new name, and a norm its new leaves" {
  source {
    fc.weight [2, 3];
    "bn.{weight,bias,running_mean,running_var}" [2];
    bn.num_batches_tracked i64 [] = dropped;
  }
  target {
    dense.weight [2, 3] = fc.weight;
    "bn.{gamma,beta,moving_mean,moving_variance}" [2] = "bn.{weight,bias,running_mean,running_var}";
  }
}

test "a layer that the rules do not name is an error" {
  source {
    head.weight [2, 3];
  }
  target {
    dense.weight [2, 3];
  }
  error CK1201 dense.weight;
  error CK1202 head.weight;
}
)";

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
    for (const VerificationCard& card : migration.cards) {
      if (card.defines.empty()) continue;
      std::string defines;
      for (const auto& [param, value] : card.defines) defines += fmt::format(" -D {}={}", param, value);
      fmt::print("      {} with{}\n", card.network, defines);
    }
  }
  for (const PackParam& param : pack.params) {
    fmt::print("  param: {}: {}{}{}\n", param.name, param.type, param.doc.empty() ? "" : "  # ", param.doc);
  }
  return sink.has_errors() ? static_cast<int>(ErrorCode::kMismatch) : 0;
}

int PackNewCommand(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  const bool word =
      !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
      std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || IsDigit(c) || c == '_'; });
  if (!word) {
    return PrintError(
        Error(ErrorCode::kUsage, fmt::format("`{}` cannot be the name of a pack: begin with a small letter "
                                             "and go on with small letters, digits and _",
                                             EscapeText(name))));
  }
  if (std::error_code error; std::filesystem::exists(std::filesystem::symlink_status(path, error)))
    return PrintError(Error(ErrorCode::kUsage, fmt::format("`{}` exists already", EscapeText(path))));
  OutputSet set;
  const auto add = [&](const std::string& file, const std::string& text) -> Result<void> {
    CKMAP_ASSIGN_OR_RETURN(const size_t index, set.Add(path + "/" + file, static_cast<int64_t>(text.size()), false));
    return WriteAt(set.fd(index), 0, std::as_bytes(std::span(text)));
  };
  const auto write = [&]() -> Result<void> {
    CKMAP_RETURN_IF_ERROR(set.AddFolder(path));
    CKMAP_RETURN_IF_ERROR(add("torch2mindspore.ckmap", kNewRules));
    CKMAP_RETURN_IF_ERROR(add("torch2mindspore.test.ckmap", kNewTest));
    CKMAP_RETURN_IF_ERROR(add("pack.yaml", fmt::format(kNewPack, name, name)));
    return set.Publish({.fsync = true});
  };
  if (const Result<void> written = write(); !written) return PrintError(written.error());
  const std::string folder = std::filesystem::path(path).parent_path().string();
  fmt::print("{0}: pack.yaml, rules and a test. Next:\n  ckmapc pack test -I {1} {2}\n", path,
             folder.empty() ? "." : folder, name);
  return 0;
}

}  // namespace ckmap
