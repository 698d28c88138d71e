// Which installed packs take a source to a target, for `ckmap plan --detect` and `ckmap migrate`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/detect/pack_search.h"
#include "runtime/migrate/open_source.h"
#include "runtime/migrate/prepare.h"

namespace ckmap {

struct DetectRequest {
  std::string source;
  SourceOptions open = {};
  std::string target = {};  // as FindTarget takes it; empty: each pack's own
  TargetOptions target_options = {};
  ParamFiles params = {};    // where it names no config, the config.json beside the source
  std::string library = {};  // only packs to this library; empty: to any
};

struct Detection {
  MigrationSource source;
  std::string config;  // the path of the config.json that was read; empty: none
  PackSearch search;
  std::vector<std::string> warnings;
};

// kMismatch where the config contradicts the tensors.
Result<Detection> DetectPacks(const DetectRequest& request);

// The config.json beside a source (in its folder, if it is one); "" if there is none that is a regular file.
std::string ConfigBeside(const std::string& source);

}  // namespace ckmap
