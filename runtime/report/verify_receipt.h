// An output against what is said of it, and that against the plan. Says what was proved, and what was not.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/formats/checkpoint.h"
#include "runtime/report/migration_report.h"
#include "runtime/report/receipt.h"

namespace ckmap {

struct VerifyInput {
  const Checkpoint& output;
  const Receipt& receipt;
  const Checkpoint* source = nullptr;        // null: its bytes are not looked at
  const MigrationReport* dry_run = nullptr;  // of the plan on the source, fitting; null: there is no plan
  bool whole_target = false;                 // the dry run knew the target; else the output's own names stood for it
  std::vector<std::string> assumed = {};     // parameters whose values the dry run took from the receipt
  std::function<void(int64_t done, int64_t total)> progress = nullptr;  // counts tensors
  const std::atomic<bool>* stop = nullptr;                              // becomes true: end with an Error soon
};

struct VerifyOutcome {
  std::vector<Issue> issues;  // CK1601
  int64_t tensors = 0;
  int64_t by_digest = 0;                      // compared with the receipt's digest
  int64_t by_source = 0;                      // said to be a copy, and compared with the source's tensor
  int64_t recomputed = 0;                     // made again from the source by the plan, and compared
  std::vector<std::string> proved, unproved;  // a line each; of the first only if there are no issues
};

Result<VerifyOutcome> VerifyReceipt(const VerifyInput& input);

}  // namespace ckmap
