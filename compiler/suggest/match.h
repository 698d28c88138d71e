// Which module of the source is which of the target. Private to compiler/suggest.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "compiler/suggest/network.h"

namespace ckmap::suggest {

// How the weight of one module lies in the other.
enum class Layout { kSame, kSqueezed, kTransposed, kDifferent };
Layout LayoutOf(const Shape& source, const Shape& target);

struct Match {
  std::vector<std::pair<size_t, size_t>> modules;  // of one form each: source, target
  // No other source and no other target fits, where names that contradict each other do not fit.
  bool certain = true;
  std::vector<std::string> alternatives;  // forms of the target that would fit as well, best first
};

// Which blocks of layers are which: "text_model.encoder.layers.#" → "transformer.resblocks.#".
using Containers = std::map<std::string, std::string>;

// A form up to and with its last number; empty: it has none.
std::string ContainerOf(const std::string& form);

// Every module stands in one match at most. `first_*`: modules before these are not looked at.
std::vector<Match> MatchModules(const Network& source, size_t first_source, const Network& target, size_t first_target,
                                Containers& containers);

}  // namespace ckmap::suggest
