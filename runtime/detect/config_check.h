// Whether a config.json and the tensors beside it are of one model: numbers that both tell are compared.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

// One sentence for each contradiction, with both numbers: "config.json says num_hidden_layers = 32, and the tensors have
// 30 layers (`model.layers.0` to `model.layers.29`)". What only one side tells, or what a config may mean in another way,
// is not compared. `path`: what the messages call the config. kMalformed if it is not a JSON object.
Result<std::vector<std::string>> ConfigContradictions(const Manifest& source, const std::string& config_json,
                                                      const std::string& path);

}  // namespace ckmap
