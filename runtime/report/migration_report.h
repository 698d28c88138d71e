// What a migration did, or would do, as JSON for scripts, text for a terminal, and one HTML page.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/bind/computed_node.h"
#include "runtime/causes/cause.h"
#include "runtime/exec/executor.h"
#include "runtime/formats/writer.h"
#include "runtime/plan/plan_io.h"
#include "runtime/report/style.h"

namespace ckmap {

struct MigrationReport {
  // Fills in what is known of the plan alone.
  static MigrationReport Of(const Plan& plan);

  bool applied = false;  // false: a dry run
  std::string migration;
  std::string plan_digest;
  std::vector<std::pair<std::string, std::string>> packs;  // name, version
  std::string plan_path;
  std::string source_path;
  std::string source_format;
  std::string target_path;
  std::string target_root;                 // the dict of a torch file that is the target
  std::vector<std::string> warnings;       // of the source's format
  std::shared_ptr<const BoundPlan> bound;  // null: it did not fit
  std::optional<ExecResult> outcome;       // set by apply
  std::vector<WrittenFile> files;          // set by apply
  Cost cost;
  std::vector<Issue> issues;
  Causes causes;  // of the errors among the issues
  double seconds = 0;

  bool ok() const;  // bound, and no issue is an error
};

// {"ok": …, "plan": {…}, "targets": […], …}. `targets` lists every tensor of the output, those made
// by `init` too; "cast" has its counts, and "sha256" stands there, once the migration was applied.
std::string ReportJson(const MigrationReport& report);

// What an output carries of its report: {"plan": {…}, "targets": […]}, each target with its name, dtype, shape, rule,
// sources and operations, and with its sha256 if `digests` (as many zeros before the migration was applied, so that the
// length is known). Says nothing of paths and times: equal conversions give equal bytes.
std::string ReceiptJson(const MigrationReport& report, bool digests);

struct ReportTextOptions {
  Style style;
  bool all = false;  // do not fold
};
// The table of what becomes what, and the totals. Issues are not in it (runtime/report/issues.h).
std::string ReportText(const MigrationReport& report, const ReportTextOptions& options);

// One page that needs nothing else: no script or style is loaded from elsewhere.
std::string ReportHtml(const MigrationReport& report);

// Names of the source tensors that make `tensor`, each once, in order of use.
std::vector<std::string> SourcesOf(const BoundPlan& plan, const BoundTensor& tensor);

}  // namespace ckmap
