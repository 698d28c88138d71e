// What a plan may not lie about. ParsePlan calls this; nothing else needs to.
#pragma once

#include "runtime/base/result.h"

namespace ckmap {

namespace plan {
class Plan;
}

inline constexpr int kMaxExprDepth = 64;             // calls inside calls
inline constexpr int kMaxPipelineDepth = 16;         // pipelines in parentheses
inline constexpr int kMaxPatternParts = 256;         // of one name
inline constexpr int kMaxOptions = 4096;             // of one {q,k,v} or {p:q|k|v}
inline constexpr int kMaxRegexes = 2000;             // different ones in a plan
inline constexpr int64_t kMaxRegexMemory = 1 << 20;  // bytes that RE2 may use for one

// After this holds: every file, variable, layer and capture that is named exists; variables come
// after those that they use; operations and functions are in the tables and have the arguments that
// these ask for; regular expressions compile within kMaxRegexMemory; depths and counts are within
// the limits above. Types of values, and whether names fit each other, are for bind to decide.
// kMalformed, or kLimit for the limits; the message says where in the plan.
Result<void> ValidatePlan(const plan::Plan& plan);

}  // namespace ckmap
