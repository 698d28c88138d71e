// The packs that are installed with this program (PackFolders), as candidates.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/detect/pack_search.h"

namespace ckmap {

// All migrations of all installed packs, by name. A pack whose plan cannot be read is named in `warnings`.
std::vector<PackCandidate> InstalledPacks(std::vector<std::string>& warnings);

// One migration by its name, PACK or PACK/MIGRATION, with what its pack.yaml says.
Result<PackCandidate> FindInstalledPack(const std::string& name);

}  // namespace ckmap
