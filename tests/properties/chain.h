// Random chains of structural operations that fit the shapes they meet.
#pragma once

#include <optional>

#include "plan.pb.h"
#include "tests/properties/array.h"

namespace ckmap::testing {

// The tensors between two steps: one, or a list.
struct State {
  bool list = false;
  std::vector<Array> arrays;
};

State Start();
// A step that fits; nullopt where the dice give none. `reversible`: no element is lost or repeated.
std::optional<Step> DrawStep(const State& state, bool reversible);
State Apply(const Step& step, const State& state);

// The step as a plan holds it.
plan::Op ToPlan(const Step& step);

}  // namespace ckmap::testing
