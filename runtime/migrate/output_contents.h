// What goes into an output beside the elements: which tensors share their bytes, which texts come along.
#pragma once

#include <string>
#include <vector>

#include "runtime/bind/bound_plan.h"
#include "runtime/formats/writer.h"

namespace ckmap {

// OutputTensors (runtime/exec/executor.h) with the ties of the target. One that the target ties to another shares its bytes if it is
// proved that they are the same: the same elements of one storage of the source, and the same operations. A warning tells
// of one that is tied and comes from other bytes.
std::vector<OutputTensor> TiedOutputTensors(const BoundPlan& bound, const Checkpoint& source,
                                            std::vector<std::string>& warnings);

// Adds the source's texts (strings of append_dict, metadata) to options.texts or options.metadata, where the output has a
// place for them. A warning tells what else of the source is no tensor and is left out.
void CarryTexts(const BoundPlan& bound, const Checkpoint& source, OutputFormat format, WriteOptions& options,
                std::vector<std::string>& warnings);

}  // namespace ckmap
