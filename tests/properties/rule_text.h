// Random rules as text, with manifests that they fit.
#pragma once

#include <string>

#include "runtime/tensor/manifest.h"

namespace ckmap::testing {

struct RandomRule {
  std::string text;      // a whole file
  Manifest left, right;  // of the rule's two sides
};

// A rule that is written `<->`: names (lists, gathered captures, several terms), sizes in brackets (numbers, names,
// parameters) and a chain of operations that can be undone. Some do not compile, where names in brackets are equal by
// chance alone.
RandomRule DrawRule();

}  // namespace ckmap::testing
