// Which module of the source is which of the target. Private to compiler/suggest.
#pragma once

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
  bool certain = true;
  std::vector<std::string> alternatives;  // forms of the target that would fit as well, best first
};

// Every module stands in one match at most.
std::vector<Match> MatchModules(const Network& source, const Network& target);

}  // namespace ckmap::suggest
