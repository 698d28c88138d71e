// How far a name fits a pattern, and where it stops.
#pragma once

#include <string>
#include <vector>

#include "runtime/bind/names/name_pattern.h"

namespace ckmap {

struct PatternMatch {
  bool matches = false;
  Captures captures;     // where it matches
  size_t closeness = 0;  // bytes of the name that fit, from its start
  std::string why;       // where it does not match: at which part
};

// The names of one side of a rule, one entry for each choice of their alternatives. On the right side,
// references mean the captures of the left side.
std::vector<PatternMatch> MatchSide(const plan::Rule& rule, bool target, const std::string& name,
                                    const std::string& separator, const Scope& scope);

}  // namespace ckmap
