// Tensors that are left over and add up: several of the source that are one of the target, and the other way round.
// How such parts lie in the whole is never to be seen in shapes, so all of these lines are for a person to decide.
// Private to compiler/suggest.
#pragma once

#include <vector>

#include "compiler/suggest/lines.h"
#include "compiler/suggest/match.h"
#include "compiler/suggest/network.h"
#include "compiler/suggest/values.h"

namespace ckmap::suggest {

struct Join {
  Line line;
  std::vector<size_t> source, target;  // tensors that it uses and writes
};

enum class JoinNames {
  // only of query, key and value, or gate and up projection, where the whole's name does not say another part
  kTelling,
  kAny,
};
std::vector<Join> FindJoins(const Manifest& source, const std::vector<bool>& source_used, const Manifest& target,
                            const std::vector<bool>& target_used, const Containers& containers, JoinNames names,
                            const Values* values = nullptr);

}  // namespace ckmap::suggest
