#include "runtime/migrate/detect.h"

#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/detect/config_check.h"
#include "runtime/detect/installed_packs.h"
#include "runtime/migrate/target.h"

namespace ckmap {

std::string ConfigBeside(const std::string& source) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path folder = fs::is_directory(source, error) ? fs::path(source) : fs::path(source).parent_path();
  const fs::path config = folder / "config.json";
  return fs::is_regular_file(fs::symlink_status(config, error)) ? config.string() : std::string();
}

Result<Detection> DetectPacks(const DetectRequest& request) {
  Detection detection;
  ParamFiles params = request.params;
  if (params.config.empty()) params.config = ConfigBeside(request.source);
  detection.config = params.config;
  CKMAP_ASSIGN_OR_RETURN(BindOptions bind, ReadParams(params));
  CKMAP_ASSIGN_OR_RETURN(detection.source, OpenMigrationSource(request.source, request.open));
  const Manifest& source = detection.source.manifest();
  if (!bind.config_json.empty()) {
    CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> contradictions,
                           ConfigContradictions(source, bind.config_json, params.config));
    if (!contradictions.empty()) {
      return Error(ErrorCode::kMismatch,
                   fmt::format("the config and the tensors are not of one model: {}", fmt::join(contradictions, "; ")));
    }
  }
  std::optional<Manifest> target;
  if (!request.target.empty()) {
    CKMAP_ASSIGN_OR_RETURN(target, FindTarget(request.target, request.target_options, source, bind));
  }
  const std::vector<PackCandidate> packs = InstalledPacks(detection.warnings);
  for (const PackCandidate& pack : packs) CKMAP_RETURN_IF_ERROR(AskSource(pack.plan, detection.source, bind));
  detection.search = SearchPacks(packs, source, target, {.bind = bind, .library = request.library});
  return detection;
}

}  // namespace ckmap
