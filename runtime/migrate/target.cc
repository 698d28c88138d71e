#include "runtime/migrate/target.h"

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/detect/described_network.h"
#include "runtime/detect/installed_packs.h"
#include "runtime/formats/open.h"
#include "runtime/migrate/paths.h"

namespace ckmap {

Result<Manifest> FindTarget(const std::string& name, const TargetOptions& options, const Manifest& source,
                            const BindOptions& bind) {
  if (PathExists(name)) return ReadTarget(name, options);
  Result<PackCandidate> pack = FindInstalledPack(name);
  // Most names that name nothing are misspelt paths.
  if (!pack) return ReadTarget(name, options);
  CKMAP_ASSIGN_OR_RETURN(DescribedNetwork network,
                         DescribeNetwork(pack->plan, pack->facts, source, OptionsOf(pack->plan, bind)));
  if (network.target) return Select(*std::move(network.target), options.selection, "--target-");
  const Issue& issue = network.issues.front();
  return Error(ErrorCode::kMismatch,
               fmt::format("--target {}: the pack cannot describe the network for this source: {}", EscapeText(name),
                           issue.message));
}

}  // namespace ckmap
