// Proves that a plan fits a source and a target. What comes of it can be shown, saved and loaded.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/bind.h"
#include "runtime/formats/target_file.h"
#include "runtime/formats/writer.h"
#include "runtime/migrate/open_source.h"
#include "runtime/plan/plan_io.h"
#include "runtime/report/migration_report.h"

namespace ckmap {

// A .ckplan file, or the name of an installed pack.
Result<Plan> LoadPlanOrPack(const std::string& path_or_pack);

// What the rules ask for besides the tensors, as files and typed values.
struct ParamFiles {
  std::map<std::string, std::string> defines;
  std::string config;       // path of a config.json; empty: none
  std::string config_json;  // its text instead
  std::map<std::string, Rank> ranks;
  std::string device_map;  // path; empty: none
};
Result<BindOptions> ReadParams(const ParamFiles& files);

// The bytes of all small tensors of integers, by name (bind/source_facts.h).
Result<std::map<std::string, std::string, std::less<>>> SmallContents(const Checkpoint& checkpoint);

// Adds to `bind` what the rules may ask of the source beside its manifest.
Result<void> AskSource(const Plan& plan, const MigrationSource& source, BindOptions& bind);

// A migration before it runs. Immutable once made: it may be run many times, by many threads.
struct PreparedMigration {
  MigrationReport report;  // of a dry run, without its cost; report.bound is null where it does not fit
  MigrationSource source;
  std::string to_framework;                          // as the plan says
  std::shared_ptr<const Nesting> nesting = nullptr;  // of the target's file
  // How the rules' `shard` statements cut report.bound's tensors over the mesh; empty without one.
  std::map<size_t, std::vector<OutputCut>> cuts;

  bool fits() const { return report.ok(); }
};

// Without a target: what the rules make of the source is the target, which a note says (CK1241). An Error only for what
// is not a question of fit.
Result<PreparedMigration> PrepareMigration(const Plan& plan, MigrationSource source, std::optional<TargetFile> target,
                                           const BindOptions& options, const std::vector<MeshAxis>& mesh = {});

}  // namespace ckmap
