// A model's config.json: what it says of the model, and what a conversion changes in it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

struct ModelConfig {
  std::string text;     // of the file
  std::string network;  // the class that it names: `architectures`, `_class_name`, or timm's `architecture`
};

// kLimit beyond 16 MiB, kMalformed if it is not a JSON object.
Result<ModelConfig> ReadModelConfig(const std::string& path);

// `text` with other values for keys of the outermost object, each as JSON; "" takes the key out. Keys that are not there
// are added at the end. All else keeps its text and its order.
Result<std::string> EditConfig(const std::string& text, const std::map<std::string, std::string>& changes);

}  // namespace ckmap
