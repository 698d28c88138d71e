// Which norm of its block a norm is, as far as its name and those of its siblings tell. Private to runtime/bind/names.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/tensor/manifest.h"

namespace ckmap {

struct NormAnswer {
  const char* question;  // "norm": where in the block it stands; "sublayer": whose norm it is
  const char* role;
  std::string token;  // what says so: "layer.0.layer_norm"
};

// What segment `at` of a name answers; `manifest` holds the name's siblings. Empty: it does not tell.
std::vector<NormAnswer> NormAnswersOf(const std::vector<std::string>& segments, size_t at, std::string_view separator,
                                      const Manifest& manifest);

}  // namespace ckmap
