// An output against the receipt that it carries, or the report of the run that wrote it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/issue.h"
#include "runtime/migrate/open_source.h"

namespace ckmap {

struct VerifyRequest {
  std::string output;
  std::string report;       // the JSON report of the run that wrote it; empty: the receipt in the output
  std::string report_json;  // its text instead
  std::string source;       // empty: it is not compared
  SourceOptions open = {};  // of both
  std::function<void(int64_t done, int64_t total)> progress = nullptr;  // counts tensors
  const std::atomic<bool>* stop = nullptr;                              // becomes true: end with an Error soon
};

// What was checked, and what could not be.
struct VerifyOutcome {
  std::vector<Issue> issues;  // CK1601
  int64_t tensors = 0;
  int64_t by_digest = 0;
  int64_t by_source = 0;
};

// kUsage if there is neither a receipt nor a report.
Result<VerifyOutcome> VerifyOutput(const VerifyRequest& request);

}  // namespace ckmap
