// In what two names differ, segment by segment.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/causes/findings.h"

namespace ckmap {

// Runs of segments that differ: `from` stands in the one name where `to` stands in the other. One of them may be empty.
struct NameDifference {
  struct Run {
    Segments from, to;
    size_t begin = 0;  // of `from`, in segments of the first name
  };
  std::vector<Run> runs;
  size_t common = 0;  // segments that both have, in order
};
NameDifference Differ(const Segments& from, const Segments& to);

// The number in a segment, and the text around it: "layer12" is "layer", 12, "". nullopt: none, or several.
struct NumberedSegment {
  std::string before, after;
  int64_t number = 0;
};
std::optional<NumberedSegment> NumberIn(std::string_view segment);

// How much two runs of segments speak of the same: shared words and initials; 0 for nothing.
int Likeness(const Segments& a, const Segments& b);

}  // namespace ckmap
