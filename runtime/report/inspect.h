// What is in a checkpoint, as text and as JSON.
#pragma once

#include <string>
#include <vector>

#include "runtime/formats/checkpoint.h"
#include "runtime/report/style.h"

namespace ckmap {

struct InspectOptions {
  Style style;
  bool all = false;                  // do not fold
  std::vector<std::string> digests;  // hex sha256, one per tensor ("" where there is none); empty: not asked for
};

std::string InspectJson(const std::string& path, const Checkpoint& checkpoint, const InspectOptions& options);
std::string InspectText(const std::string& path, const Checkpoint& checkpoint, const InspectOptions& options);

// The same for a spec, which has names and shapes but no bytes.
std::string InspectSpecJson(const std::string& path, const Manifest& manifest);
std::string InspectSpecText(const std::string& path, const Manifest& manifest, const InspectOptions& options);

}  // namespace ckmap
