// Rules on tensors whose elements are their own numbers, so that nothing can be in a wrong place unseen: forth and
// back, and two files of rules against each other.
#pragma once

#include <string>
#include <vector>

#include "compiler/testing/suite.h"
#include "compiler/testing/test_report.h"

namespace ckmap {

struct IotaOptions {
  std::vector<std::string> pack_path;
  BindOptions bind;
  std::string against;         // rules, or a migration of a pack; empty: forth and back
  std::string source, target;  // manifests; empty: those of the tests
};

// One entry for each pair of manifests. An Error if a file cannot be read or does not compile.
Result<std::vector<FileTests>> RunIota(const Suite& suite, const IotaOptions& options);

}  // namespace ckmap
