// One case through the real library, end to end: text to plan, files to files, there and back.
#pragma once

#include <cstdint>
#include <string>

namespace ckmap::testing {

struct Verdict {
  std::string difference;  // empty: as it should be
  // What was tried, for the summary.
  bool refused = false;       // rightly
  bool not_written = false;   // no format holds the targets' dtypes
  bool back_by_plan = false;  // the reversed plan gave the source
  bool back_by_text = false;  // the reversed rules did
};

// `folder`: empty, for the files of the case.
Verdict RunCase(uint64_t seed, const std::string& folder);

// The case as a person would run it: files in `folder`, and the commands as text.
std::string WriteCase(uint64_t seed, const std::string& folder);

}  // namespace ckmap::testing
