// `ckmap plan` and `ckmap apply`: the second is the first, followed by the run.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/base/file.h"
#include "runtime/base/output_file.h"
#include "runtime/base/text.h"
#include "runtime/bind/bind.h"
#include "runtime/bind/computed_node.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/output_contents.h"
#include "runtime/cli/paths.h"
#include "runtime/cli/signals.h"
#include "runtime/exec/executor.h"
#include "runtime/formats/create.h"
#include "runtime/plan/device_map.h"
#include "runtime/formats/mindspore/ms_cipher.h"
#include "runtime/formats/open.h"
#include "runtime/plan/plan_io.h"
#include "runtime/report/issues.h"
#include "runtime/report/migration_report.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxReceipt = size_t{16} << 20;  // readers have limits for what stands before the tensors

class Migration {
 public:
  Migration(const MigrateArgs& args, const Console& console) : args_(args), console_(console) {}

  // Everything that reads no tensor bytes. On success report_.bound says whether it fits.
  Result<void> Prepare();
  // Converts and commits.
  Result<void> Run(const SignalGuard& signals);
  // Tells how it ended, on every channel that was asked for; gives the exit code.
  int Finish(const Result<void>& result);

  bool fits() const { return report_.ok(); }

 private:
  Result<void> CheckArguments();
  Result<Plan> OpenPlan() const;
  Result<Manifest> OpenSource();
  Result<OutputFormat> Format() const;
  Result<void> FindOutputKey(const SecretKey& source_key);
  std::map<std::string, std::string> Metadata(OutputFormat format) const;
  WriteOptions Writing(OutputFormat format);
  ExecOptions Execution() const;
  Result<void> WriteReport() const;
  void TellOutcome() const;
  void NoteOverflows();

  const MigrateArgs& args_;
  const Console& console_;
  std::string to_framework_;
  SecretKey output_key_;
  std::unique_ptr<Checkpoint> source_;
  MigrationReport report_;
};

bool EndsIn(const std::string& path, std::string_view ending) {
  return path.size() > ending.size() && path.ends_with(ending);
}

Result<void> Migration::CheckArguments() {
  if (!args_.report.empty()) {
    if (!EndsIn(args_.report, ".json") && !EndsIn(args_.report, ".html")) {
      return Error(ErrorCode::kUsage,
                   fmt::format("--report {}: the name must end in .json or .html", args_.report));
    }
    if (!args_.force && PathExists(args_.report)) {
      return Error(ErrorCode::kUsage,
                   fmt::format("--report {}: exists already; --force replaces it", args_.report));
    }
    CKMAP_RETURN_IF_ERROR(CheckOutputApart(args_.report, {args_.source, args_.target, args_.plan}));
  }
  if (args_.output.empty()) return {};
  if (auto format = Format(); !format) return std::move(format).error();
  return CheckOutputApart(args_.output, {args_.source, args_.target, args_.plan});
}

Result<Plan> Migration::OpenPlan() const {
  std::error_code error;
  if (EndsIn(args_.plan, ".ckmap")) {
    return Error(ErrorCode::kUsage,
                 fmt::format("{} holds rules, not a plan; compile it first: ckmapc {}", args_.plan,
                             args_.plan));
  }
  if (EndsIn(args_.plan, ".ckplan") || fs::is_regular_file(args_.plan, error))
    return LoadPlan(args_.plan);
  CKMAP_ASSIGN_OR_RETURN(const std::string path, FindPackPlan(args_.plan));
  return LoadPlan(path);
}

Result<OutputFormat> Migration::Format() const {
  const auto format =
      args_.to.empty() ? OutputFormatFromPath(args_.output) : ParseOutputFormat(args_.to);
  if (format) return *format;
  if (!args_.to.empty()) {
    return Error(ErrorCode::kUsage,
                 fmt::format("--to {}: not one of {}", args_.to, OutputFormatNames()));
  }
  return Error(
      ErrorCode::kUsage,
      fmt::format(
          "the ending of `{}` names no format that is written; say --to {}", args_.output, OutputFormatNames()));
}

Result<void> Migration::Prepare() {
  report_.plan_path = args_.plan;
  report_.source_path = args_.source;
  report_.target_path = args_.target;
  CKMAP_RETURN_IF_ERROR(CheckArguments());
  CKMAP_ASSIGN_OR_RETURN(const Plan plan, OpenPlan());
  MigrationReport report = MigrationReport::Of(plan);
  report.plan_path = args_.plan;
  report.source_path = args_.source;
  report.target_path = args_.target;
  report_ = std::move(report);
  to_framework_ = plan.proto().to_framework();

  BindOptions bind{.defines = args_.defines, .config_json = "", .config_path = args_.config, .placement = {}};
  if (!args_.config.empty()) {
    CKMAP_ASSIGN_OR_RETURN(bind.config_json, ReadTextFile(args_.config, int64_t{64} << 20));
  }
  bind.placement.ranks = args_.ranks;
  if (!args_.device_map.empty()) {
    CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(args_.device_map, int64_t{8} << 20));
    CKMAP_ASSIGN_OR_RETURN(bind.placement.devices, ParseDeviceMap(text, args_.device_map));
  }
  CKMAP_ASSIGN_OR_RETURN(Manifest source, OpenSource());
  CKMAP_ASSIGN_OR_RETURN(Manifest target, ReadManifest(args_.target));
  CKMAP_ASSIGN_OR_RETURN(BindResult bound, Bind(plan, std::move(source), std::move(target), bind));
  report_.issues = std::move(bound.issues);
  report_.bound = std::move(bound.plan);
  if (report_.bound) report_.cost = EstimateCost(*report_.bound, Execution());
  return {};
}

// A dry run needs no values: a spec will do. `source_` is set for a checkpoint only.
Result<Manifest> Migration::OpenSource() {
  CKMAP_ASSIGN_OR_RETURN(const OpenOptions open, MakeOpenOptions(args_.open));
  CKMAP_ASSIGN_OR_RETURN(std::optional<Manifest> spec, ReadSpec(args_.source));
  if (spec) {
    if (!args_.output.empty()) {
      return Error(ErrorCode::kUsage,
                   fmt::format("{} is a spec, names and shapes without values: only `ckmap plan` can use it",
                               args_.source));
    }
    report_.source_format = "spec";
    return *std::move(spec);
  }
  CKMAP_RETURN_IF_ERROR(FindOutputKey(open.key));
  CKMAP_ASSIGN_OR_RETURN(source_, ckmap::OpenSource(args_.source, args_.open, open));
  report_.source_format = source_->format();
  report_.warnings = source_->warnings();
  return source_->manifest();
}

ExecOptions Migration::Execution() const {
  ExecOptions options;
  options.threads = args_.threads;
  options.max_memory = args_.max_memory;
  options.digest = args_.digest || args_.format == DataFormat::kJson || !args_.report.empty();
  return options;
}

Result<void> Migration::FindOutputKey(const SecretKey& source_key) {
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
  return Error(ErrorCode::kUsage, fmt::format("--encrypt {}: a key is needed: --output-key-file or --output-key-env (or "
                                              "--key-file or --key-env, for source and output alike)",
                                              args_.encrypt));
}

// Who made it from what, for formats that have room for such.
std::map<std::string, std::string> Migration::Metadata(OutputFormat format) const {
  std::map<std::string, std::string> metadata;
  const auto add = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) metadata[key] = value;
  };
  const std::string receipt = ReceiptJson(report_, args_.digest);
  if (receipt.size() <= kMaxReceipt) add(std::string(kReceiptKey), receipt);
  if (format == OutputFormat::kTorch) return metadata;
  // A .ckpt has room for nothing that MindSpore would not load as a parameter; numpy would as an array.
  if (format != OutputFormat::kSafetensors && format != OutputFormat::kGguf) return {};
  if (to_framework_ == "mindspore") add("format", "ms");
  if (to_framework_ == "pytorch" || to_framework_ == "torch") add("format", "pt");
  add("ckmap.plan", report_.plan_digest);
  std::string packs;
  for (const auto& [name, version] : report_.packs)
    packs += (packs.empty() ? "" : ", ") + name + " " + version;
  add("ckmap.packs", packs);
  return metadata;
}

WriteOptions Migration::Writing(OutputFormat format) {
  WriteOptions write{.metadata = Metadata(format),
                     .max_shard_size = args_.max_shard_size,
                     .crc = args_.crc,
                     .old_scalars = args_.old_scalars,
                     .cipher = ParseCipherMode(args_.encrypt),
                     .key = output_key_,
                     .force = args_.force,
                     .fsync = args_.fsync};
  CarryTexts(*report_.bound, *source_, format, write, report_.warnings);
  return write;
}

Result<void> Migration::Run(const SignalGuard& signals) {
  const auto start = std::chrono::steady_clock::now();
  CKMAP_ASSIGN_OR_RETURN(const OutputFormat format, Format());
  std::vector<OutputTensor> tensors = OutputTensors(*report_.bound, *source_, report_.warnings);
  const WriteOptions write = Writing(format);
  CKMAP_ASSIGN_OR_RETURN(const auto writer,
                         CreateCheckpoint(args_.output, format, std::move(tensors), write));
  report_.warnings.insert(report_.warnings.end(), writer->warnings().begin(),
                          writer->warnings().end());

  ExecOptions options = Execution();
  options.stop = signals.stop();
  {
    ProgressBar bar(console_, "converting");
    options.progress = [&bar](int64_t done, int64_t total) { bar.Update(done, total); };
    CKMAP_ASSIGN_OR_RETURN(report_.outcome, Execute(*report_.bound, *source_, *writer, options));
  }
  CKMAP_RETURN_IF_ERROR(source_->CheckUnchanged());
  if (signals.signal() != 0) return Error(ErrorCode::kIo, "interrupted");
  if (args_.digest && write.metadata.contains(std::string(kReceiptKey))) {
    writer->ReplaceReceipt(ReceiptJson(report_, true));
  }
  CKMAP_ASSIGN_OR_RETURN(report_.files, writer->Commit());
  report_.applied = true;
  report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  NoteOverflows();
  return {};
}

// Values that saturated or became infinite were allowed, but are worth a word.
void Migration::NoteOverflows() {
  for (size_t i = 0; i < report_.bound->tensors.size(); ++i) {
    const int64_t overflowed = report_.outcome->tensors[i].overflowed;
    if (overflowed == 0) continue;
    const BoundTensor& tensor = report_.bound->tensors[i];
    report_.issues.push_back(
        {.code = "CK1402",
         .severity = IssueSeverity::kWarning,
         .tensor = tensor.name,
         .message = fmt::format("`{}`: {} did not fit {}", tensor.name, Plural(overflowed, "value"),
                                DTypeName(tensor.dtype)),
         .notes = {fmt::format("by the rule at {}", tensor.rule)},
         .help = ""});
  }
}

Result<void> Migration::WriteReport() const {
  if (args_.report.empty()) return {};
  return WriteWholeFile(args_.report,
                        EndsIn(args_.report, ".html") ? ReportHtml(report_) : ReportJson(report_),
                        {.force = args_.force, .fsync = args_.fsync});
}

void Migration::TellOutcome() const {
  console_.Warn(report_.warnings);
  const std::string issues =
      RenderIssues(report_.issues, {.style = console_.err(), .all = args_.all});
  if (!report_.ok()) {
    console_.SayAlways(issues);
    if (report_.source_format.empty()) return;
    console_.SayAlways(fmt::format("{}: `{}` does not fit: {}{}\n", console_.err().Red("error"),
                                   EscapeText(args_.source), CountIssues(report_.issues),
                                   args_.output.empty() ? "" : "; nothing was written"));
    return;
  }
  console_.Say(issues);
  for (const WrittenFile& file : report_.files) {
    console_.Say(fmt::format("wrote {} ({}, {})\n", console_.err().Bold(EscapeText(file.path)),
                             FormatBytes(file.bytes), FormatDuration(report_.seconds)));
  }
}

int Migration::Finish(const Result<void>& result) {
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
    TellOutcome();
    if (!report_.ok()) exit_code = static_cast<int>(ErrorCode::kMismatch);
    if (Result<void> written = WriteReport(); !written) exit_code = console_.Fail(written.error());
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
  Migration migration(args, console);
  return migration.Finish(migration.Prepare());
}

int RunApply(const MigrateArgs& args, const Console& console) {
  Migration migration(args, console);
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
