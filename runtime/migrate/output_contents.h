// What goes into an output beside the elements: which tensors share their bytes, which texts come along.
#pragma once

#include <string>
#include <vector>

#include "runtime/bind/bound_plan.h"
#include "runtime/formats/writer.h"

namespace ckmap {

// OutputTensors (runtime/exec/executor.h) with the ties of the target. Those that it ties share their bytes, which are
// equal:
// the binder has seen to it (runtime/bind/target/tied.h).
std::vector<OutputTensor> TiedOutputTensors(const BoundPlan& bound);

// Adds the source's texts (strings of append_dict, metadata) to options.texts or options.metadata, where the output has
// a place for them. A warning tells what else of the source is no tensor and is left out.
void CarryTexts(const BoundPlan& bound, const Checkpoint& source, OutputFormat format, WriteOptions& options,
                std::vector<std::string>& warnings);

}  // namespace ckmap
