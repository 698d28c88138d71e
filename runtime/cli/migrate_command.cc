// `ckmap plan` and `ckmap apply`: the second is the first, followed by the run.
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/output_file.h"
#include "runtime/base/run_files.h"
#include "runtime/base/text.h"
#include "runtime/bind/target/decisions.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/signals.h"
#include "runtime/formats/mindspore/ms_cipher.h"
#include "runtime/formats/target_file.h"
#include "runtime/migrate/paths.h"
#include "runtime/migrate/prepare.h"
#include "runtime/migrate/save.h"
#include "runtime/migrate/target.h"
#include "runtime/report/causes.h"
#include "runtime/report/issues.h"
#include "runtime/report/migration_report.h"

namespace ckmap {
namespace {

class MigrateCommand {
 public:
  MigrateCommand(const MigrateArgs& args, const Console& console) : args_(args), console_(console) {}

  // Everything that reads no tensor bytes. On success report_.bound says whether it fits.
  Result<void> Prepare();
  // Converts and commits.
  Result<void> Run(const SignalGuard& signals);
  // Reports how it ended, on every channel that was asked for; gives the exit code.
  int Finish(const Result<void>& result);

  bool fits() const { return report_.ok(); }

 private:
  Result<void> CheckArguments();
  Result<MigrationSource> OpenSource();
  Result<void> CheckRoot(const TargetFile& target) const;
  Result<OutputFormat> Format() const { return FindOutputFormat(args_.output, args_.to, "--to"); }
  Result<void> FindOutputKey(const SecretKey& source_key);
  ExecOptions Execution() const;
  Result<void> WriteReports();
  void ReportOutcome() const;

  const MigrateArgs& args_;
  const Console& console_;
  SecretKey output_key_;
  std::optional<PreparedMigration> migration_;
  MigrationReport report_;
  std::vector<OutputClaim> report_claims_;  // until they are written
};

bool EndsIn(const std::string& path, std::string_view ending) {
  return path.size() > ending.size() && path.ends_with(ending);
}

Result<void> MigrateCommand::CheckArguments() {
  std::error_code ignored;
  for (const std::string& report : args_.reports) {
    if (!EndsIn(report, ".json") && !EndsIn(report, ".html")) {
      return Error(ErrorCode::kUsage, fmt::format("--report {}: the name must end in .json or .html", report));
    }
    if (!args_.force &&
        std::filesystem::symlink_status(report, ignored).type() != std::filesystem::file_type::not_found) {
      return Error(ErrorCode::kUsage, fmt::format("--report {}: exists already; --force replaces it", report));
    }
    CKMAP_ASSIGN_OR_RETURN(OutputClaim claim, OutputClaim::Make(report));
    report_claims_.push_back(std::move(claim));
  }
  if (args_.output.empty()) return {};
  auto format = Format();
  if (!format) return std::move(format).error();
  if (*format == OutputFormat::kMindFormers && !args_.ranks.empty()) {
    return Error(ErrorCode::kUsage,
                 "--rank: a checkpoint of MindFormers holds the files of all ranks: --mesh says which they are");
  }
  if (args_.replicas && args_.mesh.empty())
    return Error(ErrorCode::kUsage, "--replicas is of use only with --mesh, which says which ranks there are");
  return {};
}

// A spec has no dicts; the one that --target-root names is made for the output.
Result<void> MigrateCommand::CheckRoot(const TargetFile& target) const {
  const std::string& root = args_.target_options.root;
  if (!target.spec || root.empty() || args_.output.empty()) return {};
  CKMAP_ASSIGN_OR_RETURN(const OutputFormat format, Format());
  if (format == OutputFormat::kTorch) return {};
  return Error(ErrorCode::kUsage, fmt::format("--target-root {}: {} is a spec, and only a torch file has dicts for its "
                                              "tensors; `{}` is of another format",
                                              EscapeText(root), args_.target, EscapeText(args_.output)));
}

Result<void> MigrateCommand::Prepare() {
  report_.plan_path = args_.plan;
  report_.source_path = DescribeSources(args_.source, args_.named_sources);
  report_.target_path = args_.target;
  CKMAP_RETURN_IF_ERROR(CheckArguments());
  CKMAP_ASSIGN_OR_RETURN(const Plan plan, LoadPlanOrPack(args_.plan));
  report_ = MigrationReport::Of(plan);
  report_.plan_path = args_.plan;
  report_.source_path = DescribeSources(args_.source, args_.named_sources);
  report_.target_path = args_.target;
  CKMAP_ASSIGN_OR_RETURN(
      BindOptions bind,
      ReadParams(
          {.defines = args_.defines, .config = args_.config, .ranks = args_.ranks, .device_map = args_.device_map}));
  CKMAP_ASSIGN_OR_RETURN(MigrationSource source, OpenSource());
  CKMAP_RETURN_IF_ERROR(AskSource(plan, source, bind));
  std::optional<TargetFile> target;
  if (args_.target.empty()) {
    if (!args_.target_options.selection.empty() || !args_.target_options.root.empty())
      return Error(ErrorCode::kUsage, "options of a target are of use only with --target");
  } else if (PathExists(args_.target)) {
    CKMAP_ASSIGN_OR_RETURN(target, ReadTargetFile(args_.target, args_.target_options));
    CKMAP_RETURN_IF_ERROR(CheckRoot(*target));
  } else {
    target.emplace();
    CKMAP_ASSIGN_OR_RETURN(target->manifest, FindTarget(args_.target, args_.target_options, source.manifest(), bind));
  }
  CKMAP_ASSIGN_OR_RETURN(migration_, PrepareMigration(plan, std::move(source), std::move(target), bind, args_.mesh));
  report_ = migration_->report;
  report_.plan_path = args_.plan;
  report_.target_path = args_.target;
  if (!args_.output.empty() && RefuseOpenDecisions(report_.issues)) report_.bound.reset();
  if (report_.bound) {
    report_.cost = EstimateCost(*report_.bound, Execution());
    if (!report_.cost.warning.empty()) report_.warnings.push_back(report_.cost.warning);
  }
  return {};
}

// A dry run needs no values: a spec will do.
Result<MigrationSource> MigrateCommand::OpenSource() {
  CKMAP_ASSIGN_OR_RETURN(const SourceOptions options, MakeSourceOptions(args_.open));
  CKMAP_RETURN_IF_ERROR(FindOutputKey(options.open.key));
  CKMAP_ASSIGN_OR_RETURN(MigrationSource source, OpenMigrationSources(args_.source, args_.named_sources, options));
  report_.source_format = source.spec ? "spec" : source.checkpoint->format();
  if (!source.spec) {
    report_.warnings = source.checkpoint->warnings();
    // A run checks on its way; a dry run has none.
    if (args_.output.empty() && source.crc_check) CKMAP_RETURN_IF_ERROR(VerifyChecksums(*source.checkpoint));
  } else if (!args_.output.empty()) {
    return Error(
        ErrorCode::kUsage,
        fmt::format("{} is a spec, names and shapes without values: only `ckmap plan` can use it", source.path));
  }
  return source;
}

ExecOptions MigrateCommand::Execution() const {
  ExecOptions options;
  options.threads = args_.threads;
  options.max_memory = args_.max_memory;
  options.digest = args_.digest || args_.format == DataFormat::kJson || !args_.reports.empty();
  return options;
}

Result<void> MigrateCommand::FindOutputKey(const SecretKey& source_key) {
  if (args_.encrypt.empty()) {
    if (args_.output_key.empty()) return {};
    return Error(ErrorCode::kUsage, "a key for the output is of use only with --encrypt");
  }
  if (!args_.output_key.empty()) {
    CKMAP_ASSIGN_OR_RETURN(output_key_, ReadKey(args_.output_key, "--output-"));
  } else {
    output_key_ = source_key;
  }
  if (!output_key_.empty()) return {};
  return Error(ErrorCode::kUsage,
               fmt::format("--encrypt {}: a key is needed: --output-key-file or --output-key-env (or "
                           "--key-file or --key-env, for source and output alike)",
                           args_.encrypt));
}

Result<void> MigrateCommand::Run(const SignalGuard& signals) {
  CKMAP_ASSIGN_OR_RETURN(const OutputFormat format, Format());
  SaveRequest request{.format = format,
                      .write = {.max_shard_size = args_.max_shard_size,
                                .crc = args_.crc,
                                .old_scalars = args_.old_scalars,
                                .cipher = ParseCipherMode(args_.encrypt),
                                .key = output_key_,
                                .force = args_.force,
                                .fsync = args_.fsync,
                                .mesh = args_.mesh,
                                .replicas = args_.replicas},
                      .digests = args_.digest,
                      .run = Execution()};
  request.run.stop = signals.stop();
  ProgressBar bar(console_, "converting");
  request.run.progress = [&bar](int64_t done, int64_t total) { bar.Update(done, total); };
  return SaveMigration(*migration_, args_.output, std::move(request), report_);
}

Result<void> MigrateCommand::WriteReports() {
  report_claims_.clear();
  for (const std::string& report : args_.reports) {
    CKMAP_RETURN_IF_ERROR(WriteWholeFile(report, EndsIn(report, ".html") ? ReportHtml(report_) : ReportJson(report_),
                                         {.force = args_.force, .fsync = args_.fsync, .check_inputs = false}));
  }
  return {};
}

void MigrateCommand::ReportOutcome() const {
  console_.Warn(report_.warnings);
  if (!report_.ok()) {
    console_.SayAlways(RenderMisfits(report_.causes, report_.issues, console_.err(), args_.all));
    if (report_.source_format.empty()) return;
    console_.SayAlways(fmt::format("{}: `{}` does not fit: {}{}\n", console_.err().Red("error"),
                                   EscapeText(report_.source_path), CountIssues(report_.issues),
                                   args_.output.empty() ? "" : "; nothing was written"));
    return;
  }
  console_.Say(RenderIssues(report_.issues, {.style = console_.err(), .all = args_.all}));
  for (const WrittenFile& file : report_.files) {
    console_.Say(fmt::format("wrote {} ({}, {})\n", console_.err().Bold(EscapeText(file.path)), FormatBytes(file.bytes),
                             FormatDuration(report_.seconds)));
  }
}

int MigrateCommand::Finish(const Result<void>& result) {
  int exit_code = 0;
  if (!result) {
    exit_code = console_.Fail(result.error());
    report_.issues.push_back({.code = "",
                              .severity = IssueSeverity::kError,
                              .tensor = "",
                              .message = result.error().message(),
                              .notes = {},
                              .help = ""});
  } else {
    ReportOutcome();
    if (!report_.ok()) exit_code = static_cast<int>(ErrorCode::kMismatch);
    if (Result<void> written = WriteReports(); !written) exit_code = console_.Fail(written.error());
  }
  if (args_.format == DataFormat::kJson) {
    const int written = console_.Write(ReportJson(report_));
    return exit_code != 0 ? exit_code : written;
  }
  if (exit_code != 0 || console_.quiet() || report_.applied) return exit_code;
  return console_.Write(ReportText(report_, {.style = console_.out(), .all = args_.all}));
}

}  // namespace

int RunPlan(const MigrateArgs& args, const Console& console) {
  MigrateCommand migration(args, console);
  return migration.Finish(migration.Prepare());
}

int RunApply(const MigrateArgs& args, const Console& console) {
  MigrateCommand migration(args, console);
  const Result<void> prepared = migration.Prepare();
  if (!prepared || !migration.fits()) return migration.Finish(prepared);
  int signal = 0;
  Result<void> result;
  {
    const SignalGuard signals;
    result = migration.Run(signals);
    signal = result ? 0 : signals.signal();
  }
  if (signal != 0) {
    console.SayAlways("interrupted; nothing was written\n");
    return 128 + signal;
  }
  return migration.Finish(result);
}

}  // namespace ckmap
