// Where the elements of a tensor come from, and what is done to them on the way. This is the one place that says when
// two tensors are made of the same elements in the same way.
#pragma once

#include <functional>
#include <string>

#include "runtime/bind/bound_plan.h"

namespace ckmap {

// Equal texts: the tensors hold the same bytes, whatever the sources hold. Different texts may still give the same
// bytes. The text holds the dtype, the shape, and for each piece its input with every step of its chain and every
// parameter of its computed nodes. `source` names a source tensor; two sources that it gives one name hold the same
// elements.
std::string OriginOf(const PiecedTensor& tensor, const std::function<std::string(size_t)>& source);

}  // namespace ckmap
