// Irregular networks keep the order of their modules. Private to compiler/suggest.
#pragma once

#include <vector>

#include "compiler/suggest/match.h"

namespace ckmap::suggest {

// The longest common sequence of modules that fit, of those that are not done.
std::vector<Match> AlignModules(const Network& source, const std::vector<bool>& source_done, const Network& target,
                                const std::vector<bool>& target_done);

}  // namespace ckmap::suggest
