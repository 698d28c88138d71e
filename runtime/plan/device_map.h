// A device map: which device each module or tensor of the target goes to, written down as YAML or
// JSON. It says from outside what `place` says in rules.
//
//     model.embed_tokens: GPU:0
//     model.layers.*: GPU:1        # `*` is text inside one segment, `**` a path
//     "": CPU                      # all the rest
//
// A name covers the tensor of this name and everything below it; of several the one with the most
// literal text decides. A bare number, as accelerate's device maps have it, is a device of `GPU`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

struct DeviceMap {
  struct Entry {
    std::string name;
    std::string device;
    std::string where;  // "device_map.yaml:3"
  };
  std::vector<Entry> entries;
};

// `path` is for messages. kMalformed with all mistakes at once.
Result<DeviceMap> ParseDeviceMap(std::string_view text, const std::string& path);

}  // namespace ckmap
