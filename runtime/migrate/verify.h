// An output against the receipt that it carries, or the report of the run that wrote it; and that against the plan.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "runtime/base/result.h"
#include "runtime/migrate/open_source.h"
#include "runtime/migrate/prepare.h"
#include "runtime/report/verify_receipt.h"

namespace ckmap {

struct VerifyRequest {
  std::string output;
  std::string report;       // the JSON report of the run that wrote it; empty: the receipt in the output
  std::string report_json;  // its text instead
  std::string source;       // empty: it is not compared
  std::vector<NamedPath> named_sources = {};  // beside it
  SourceOptions open = {};  // of both; the root is the source's, that of the output stands in its receipt
  std::string
      // a .ckplan file or the name of a pack: what the receipt says is recomputed. Needs the source; empty: it is not
      plan;
  std::string target;      // that the plan was run for; empty: the output itself
  ParamFiles params = {};  // where it names no config, what it lacks is taken from the receipt
  std::function<void(int64_t done, int64_t total)> progress = nullptr;  // counts tensors
  const std::atomic<bool>* stop = nullptr;                              // becomes true: end with an Error soon
};

// kUsage if there is neither a receipt nor a report, or a plan without a source.
Result<VerifyOutcome> VerifyOutput(const VerifyRequest& request);

}  // namespace ckmap
