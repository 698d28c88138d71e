#include "runtime/detect/installed_packs.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxPackYaml = 1 << 20;

// What pack.yaml says of the plan at PACK/MIGRATION.ckplan; nothing where there is no pack.yaml.
PackFacts FactsBeside(const fs::path& plan) {
  const auto yaml = ReadTextFile((plan.parent_path() / "pack.yaml").string(), kMaxPackYaml);
  return yaml ? ReadPackFacts(*yaml, plan.stem().string()) : PackFacts{};
}

std::vector<std::string> SortedFolder(const fs::path& folder) {
  auto names = ListFolder(folder.string());
  std::vector<std::string> sorted = names ? *std::move(names) : std::vector<std::string>{};
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace

std::vector<PackCandidate> InstalledPacks(std::vector<std::string>& warnings) {
  std::vector<PackCandidate> candidates;
  std::set<std::string> packs;  // a folder that comes first hides packs of the same name
  for (const fs::path folder : PackFolders()) {
    for (const std::string& pack : SortedFolder(folder)) {
      const std::vector<std::string> files = SortedFolder(folder / pack);
      const auto is_plan = [](const std::string& file) { return file.ends_with(".ckplan"); };
      if (std::none_of(files.begin(), files.end(), is_plan) || !packs.insert(pack).second) continue;
      for (const std::string& file : files) {
        if (!is_plan(file)) continue;
        const fs::path path = folder / pack / file;
        const std::string name = fmt::format("{}/{}", pack, path.stem().string());
        Result<Plan> plan = LoadPlan(path.string());
        if (plan) {
          candidates.push_back({name, *std::move(plan), FactsBeside(path)});
        } else {
          warnings.push_back(fmt::format("pack `{}` is left out: {}", name, plan.error().message()));
        }
      }
    }
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const PackCandidate& a, const PackCandidate& b) { return a.name < b.name; });
  return candidates;
}

Result<PackCandidate> FindInstalledPack(const std::string& name) {
  CKMAP_ASSIGN_OR_RETURN(const std::string path, FindPackPlan(name));
  CKMAP_ASSIGN_OR_RETURN(Plan plan, LoadPlan(path));
  const fs::path file(path);
  return PackCandidate{fmt::format("{}/{}", file.parent_path().filename().string(), file.stem().string()),
                       std::move(plan), FactsBeside(file)};
}

}  // namespace ckmap
