#include "compiler/suggest/packs.h"

#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/program/loader.h"
#include "runtime/base/file.h"
#include "runtime/detect/pack_search.h"

namespace ckmap::suggest {
namespace {

constexpr int64_t kMaxPackYaml = 1 << 20;

// All migrations of the packs on the path, compiled. What does not compile is left out: its own check says why.
std::vector<PackCandidate> CompilePacks(const std::vector<std::string>& pack_path) {
  std::vector<PackCandidate> candidates;
  for (const std::string& name : ListPacks({pack_path, {}})) {
    SourceMap sources;
    DiagnosticSink ignored;
    const FoundPack found = FindPack(name, {pack_path, {}}, sources, ignored);
    const std::filesystem::path folder = found.folder;
    const auto yaml = ReadTextFile((folder / "pack.yaml").string(), kMaxPackYaml);
    for (const PackMigration& migration : found.pack.migrations) {
      CompileOptions compile;
      compile.pack_path = pack_path;
      CompileResult compiled = Compile((folder / migration.file).string(), compile);
      if (!compiled.plan) continue;
      candidates.push_back({name + "/" + migration.name, *std::move(compiled.plan),
                            yaml ? ReadPackFacts(*yaml, migration.name) : PackFacts{}});
    }
  }
  return candidates;
}

}  // namespace

FittingPacks FindFittingPack(const Manifest& source, const Manifest& target, const SuggestOptions& options) {
  SearchOptions search{.bind = {.defines = options.defines,
                                .config_json = options.config_json,
                                .config_path = options.config_path,
                                .placement = {}},
                       .only_changes = true};
  PackSearch found = SearchPacks(CompilePacks(options.pack_path), source, target, search);
  FittingPacks packs;
  for (const PackMisfit& misfit : found.others) {
    if (!misfit.lacks.empty()) packs.needing.push_back(misfit.name);
  }
  if (found.fitting.empty()) return packs;
  PackFit& first = found.fitting.front();
  FittingPack& fitting = packs.fitting.emplace_back(FittingPack{first.name, std::move(first.plan), first.decisions});
  for (const PackFit& other : found.fitting) {
    if (other.differs)
      fitting.decisions.push_back(fmt::format("or use {}: it fits, too, and does something else", other.name));
  }
  return packs;
}

}  // namespace ckmap::suggest
