#include "runtime/migrate/public.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/base/text.h"
#include "runtime/exec/tensor_reader.h"
#include "runtime/formats/storage/named_checkpoints.h"
#include "runtime/formats/target_file.h"
#include "runtime/migrate/load.h"
#include "runtime/migrate/output_contents.h"
#include "runtime/migrate/public_options.h"
#include "runtime/migrate/save.h"
#include "runtime/report/issues.h"

namespace ckmap::v1 {

struct Migration::State {
  std::shared_ptr<const PreparedMigration> prepared;  // it fits
  std::shared_ptr<MappedFiles> maps;
  bool views = true;
  std::optional<Checkpoint> source;  // keeps its list of files
  RunList files;                     // that were read besides: the target, a config, a device map
  BoundPlan bound;
  std::vector<Issue> notes;
  Manifest target;

  const ckmap::BoundPlan& plan() const { return *prepared->report.bound; }
  Result<void> CheckRunnable() const;
  Result<std::vector<size_t>> Order(const std::vector<std::string>& names) const;
  Result<std::vector<TensorPlace>> Places(std::span<const Destination> destinations, Report& report) const;
};

namespace {

BoundPlan ToPublic(const ckmap::BoundPlan& plan) {
  BoundPlan out;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    const ckmap::BoundTensor& tensor = plan.tensors[i];
    const auto device = plan.devices.find(i);
    out.tensors.push_back({.name = tensor.name,
                           .dtype = static_cast<DType>(tensor.dtype),
                           .shape = tensor.shape,
                           .sources = SourcesOf(plan, tensor),
                           .ops = tensor.ops,
                           .rule = tensor.rule,
                           .initialized = tensor.initialized,
                           .device = device == plan.devices.end() ? "" : device->second.device});
  }
  for (const DroppedTensor& tensor : plan.dropped) out.dropped.push_back({tensor.name, tensor.rule});
  for (const KeptTensor& tensor : plan.kept) out.kept.push_back({tensor.name, tensor.rule});
  out.params = plan.params;
  return out;
}

// The tensors that come out, with the ties of the target.
ckmap::Manifest OutputManifest(const ckmap::BoundPlan& plan) {
  ckmap::Manifest manifest;
  manifest.framework = plan.target.framework;
  for (const ckmap::BoundTensor& tensor : plan.tensors) {
    ckmap::TensorInfo info;
    info.name = tensor.name;
    info.dtype = tensor.dtype;
    info.shape = tensor.shape;
    info.tied_to = plan.target[tensor.target].tied_to;
    CKMAP_CHECK(manifest.Add(std::move(info)));
  }
  return manifest;
}

Error Misfit(const MigrationReport& report) {
  std::string text = fmt::format("`{}` does not fit: {}", EscapeText(report.source_path), CountIssues(report.issues));
  constexpr size_t kShown = 3;
  size_t shown = 0;
  for (const ckmap::Issue& issue : report.issues) {
    if (issue.severity == IssueSeverity::kError && shown++ < kShown)
      text += fmt::format("\n{}: {}", issue.code, issue.message);
  }
  return {ErrorCode::kMisfit, std::move(text), ckmap::v1::ToPublic(report.issues)};
}

Result<std::shared_ptr<const PreparedMigration>> PrepareFitting(const Plan& plan, MigrationSource source,
                                                                const Target& target, const Params& params) {
  std::optional<TargetFile> file;
  if (target.manifest()) {
    file.emplace(TargetFile{.manifest = Access::StateOf(*target.manifest()).manifest});
  } else if (target.path() != "same") {
    CKMAP_PUBLIC_OR_RETURN(file, ReadTargetFile(target.path().string(), {}));
  }
  CKMAP_PUBLIC_OR_RETURN(const BindOptions options, ToBindOptions(params));
  CKMAP_PUBLIC_OR_RETURN(PreparedMigration prepared,
                         PrepareMigration(Access::StateOf(plan).plan, std::move(source), std::move(file), options));
  prepared.report.target_path = target.path().string();
  if (!prepared.fits()) return Misfit(prepared.report);
  return std::make_shared<const PreparedMigration>(std::move(prepared));
}

// Of a manifest: the sources beside the first one whose tensors it names "NAME:tensor".
std::vector<std::string> SpacesIn(const ckmap::Manifest& manifest, const Plan& plan) {
  std::vector<std::string> spaces;
  for (const plan::NamedSource& source : Access::StateOf(plan).plan.proto().named_sources()) {
    const std::string prefix = NameInSpace(source.name(), "");
    const auto& tensors = manifest.tensors();
    if (std::any_of(tensors.begin(), tensors.end(),
                    [&](const ckmap::TensorInfo& tensor) { return tensor.name.starts_with(prefix); }))
      spaces.push_back(source.name());
  }
  return spaces;
}

Report ToPublic(const MigrationReport& report) {
  Report out;
  for (size_t i = 0; report.outcome && i < report.outcome->tensors.size(); ++i) {
    const ckmap::TensorOutcome& outcome = report.outcome->tensors[i];
    out.tensors.push_back({.name = report.bound->tensors[i].name,
                           .sha256 = outcome.sha256,
                           .overflowed = outcome.overflowed,
                           .changed = outcome.changed});
  }
  for (const WrittenFile& file : report.files) out.files.push_back({.path = file.path, .bytes = file.bytes});
  out.issues = ckmap::v1::ToPublic(report.issues);
  out.warnings = report.warnings;
  out.seconds = report.seconds;
  return out;
}

}  // namespace

Result<Migration> Migration::Prepare(const Plan& plan, const Checkpoint& source, const Target& target,
                                     const Params& params) {
  const Checkpoint::State& from = Access::StateOf(source);
  auto state = std::make_shared<State>();
  state->maps = from.maps;
  state->views = from.views;
  state->source = source;
  const RunList::Scope scope(state->files);
  CKMAP_TRY(state->prepared, PrepareFitting(plan,
                                            {.path = from.path.string(),
                                             .spaces = from.spaces,
                                             .checkpoint = from.checkpoint,
                                             .spec = std::nullopt,
                                             .crc_check = from.crc_check},
                                            target, params));
  state->bound = ToPublic(state->plan());
  state->notes = ckmap::v1::ToPublic(state->prepared->report.issues);
  state->target = Access::Make(OutputManifest(state->plan()));
  Migration migration;
  migration.state_ = std::move(state);
  return migration;
}

Result<Migration> Migration::Prepare(const Plan& plan, const Manifest& source, const Target& target,
                                     const Params& params) {
  auto state = std::make_shared<State>();
  const RunList::Scope scope(state->files);
  const ckmap::Manifest& manifest = Access::StateOf(source).manifest;
  CKMAP_TRY(
      state->prepared,
      PrepareFitting(
          plan,
          {.path = "", .spaces = SpacesIn(manifest, plan), .checkpoint = nullptr, .spec = manifest, .crc_check = false},
          target, params));
  state->bound = ToPublic(state->plan());
  state->notes = ckmap::v1::ToPublic(state->prepared->report.issues);
  state->target = Access::Make(OutputManifest(state->plan()));
  Migration migration;
  migration.state_ = std::move(state);
  return migration;
}

const BoundPlan& Migration::bound() const { return state_->bound; }
std::span<const Issue> Migration::notes() const { return state_->notes; }
const Manifest& Migration::target() const { return state_->target; }

Cost Migration::cost(const RunOptions& options) const {
  ExecOptions run;
  run.threads = options.threads;
  run.max_memory = options.max_memory;
  const ckmap::Cost cost = EstimateCost(state_->plan(), run);
  return {.bytes_read = cost.bytes_read, .bytes_written = cost.bytes_written, .peak_memory = cost.peak_memory};
}

std::string Migration::Table(bool all) const {
  MigrationReport report = state_->prepared->report;
  report.cost = EstimateCost(state_->plan(), {});
  return ReportText(report, {.style = {}, .all = all});
}

std::string Migration::Json() const {
  MigrationReport report = state_->prepared->report;
  report.cost = EstimateCost(state_->plan(), {});
  return ReportJson(report);
}

Result<void> Migration::State::CheckRunnable() const {
  if (prepared->source.checkpoint != nullptr) return {};
  return Error(ErrorCode::kUsage,
               "the source is a manifest, names and shapes without values: it can be neither saved nor loaded");
}

Result<Report> Migration::Save(const std::filesystem::path& path, const SaveOptions& options) const {
  CKMAP_TRY_VOID(state_->CheckRunnable());
  Watch watch(options.run.stop, options.run.progress);
  CKMAP_PUBLIC_OR_RETURN(SaveRequest request, ToSaveRequest(path.string(), options, watch));
  const SourceScope of_source(*state_->source);
  const RunList::Scope of_others(state_->files);
  MigrationReport report = state_->prepared->report;
  report.cost = EstimateCost(state_->plan(), request.run);
  const auto saved = SaveMigration(*state_->prepared, path.string(), std::move(request), report);
  watch.Rethrow();
  if (!saved) return watch.Explain(saved.error());
  Report out = ToPublic(report);
  out.json = ReportJson(report);
  return out;
}

// ---- Load ----

struct TensorStream::State {
  State(std::shared_ptr<const Migration::State> of, const RunOptions& options)
      : migration(std::move(of)), watch(options.stop, options.progress), token(options.stop) {}

  std::shared_ptr<const Migration::State> migration;
  Watch watch;
  std::stop_token token;
  std::unique_ptr<TensorLoader> loader;
  // Wakes a Next that waits. Goes before the loader does.
  std::optional<std::stop_callback<std::function<void()>>> wake;
};

TensorStream Access::Make(std::unique_ptr<TensorStream::State> state) { return TensorStream(std::move(state)); }

TensorStream::TensorStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
TensorStream::TensorStream(TensorStream&&) noexcept = default;
TensorStream& TensorStream::operator=(TensorStream&&) noexcept = default;
TensorStream::~TensorStream() = default;

Result<std::optional<Tensor>> TensorStream::Next() {
  if (state_ == nullptr) return Error(ErrorCode::kUsage, "the stream was moved from");
  auto next = state_->loader->Next();
  state_->watch.Rethrow();
  if (!next) return state_->watch.Explain(std::move(next).error());
  if (!*next) return std::optional<Tensor>();
  const LoadedTensor& loaded = **next;
  const std::shared_ptr<const TensorInfo> info(state_->migration, &state_->migration->target.tensors()[loaded.tensor]);
  return std::optional(
      Access::Make(info, {loaded.bytes.get(), static_cast<size_t>(loaded.length)}, loaded.bytes, loaded.view));
}

Result<std::vector<size_t>> Migration::State::Order(const std::vector<std::string>& names) const {
  std::vector<size_t> order;
  if (names.empty()) {
    for (size_t i = 0; i < plan().tensors.size(); ++i) order.push_back(i);
    return order;
  }
  std::vector<bool> seen(plan().tensors.size(), false);
  for (const std::string& name : names) {
    const auto found = target.Find(name);
    if (!found)
      return Error(ErrorCode::kUsage, fmt::format("order: the migration makes no tensor `{}`", EscapeText(name)));
    if (seen[*found]) return Error(ErrorCode::kUsage, fmt::format("order: `{}` occurs twice", EscapeText(name)));
    seen[*found] = true;
    order.push_back(*found);
  }
  return order;
}

Result<TensorStream> Migration::Load(const RunOptions& options) const {
  CKMAP_TRY_VOID(state_->CheckRunnable());
  auto stream = std::make_unique<TensorStream::State>(state_, options);
  LoadRequest request;
  CKMAP_TRY(request.order, state_->Order(options.order));
  request.run = ToExecOptions(options, stream->watch);
  request.run.check_all = state_->prepared->source.crc_check;
  request.views = options.views && state_->views;
  const auto maps = options.writable ? std::make_shared<MappedFiles>(true) : state_->maps;
  CKMAP_PUBLIC_OR_RETURN(stream->loader, TensorLoader::Start(state_->prepared, std::move(request), maps));
  stream->wake.emplace(stream->token, [loader = stream->loader.get()] { loader->Stop(); });
  return Access::Make(std::move(stream));
}

// ---- LoadInto ----

// The place of each target tensor; an Error that names everything that is wrong with them.
Result<std::vector<TensorPlace>> Migration::State::Places(std::span<const Destination> destinations,
                                                          Report& report) const {
  std::vector<TensorPlace> places(plan().tensors.size());
  std::vector<bool> given(places.size(), false);
  std::vector<Issue> issues;
  const auto wrong = [&issues](const std::string& name, std::string message) {
    issues.push_back({.code = "",
                      .severity = Severity::kError,
                      .tensor = name,
                      .message = std::move(message),
                      .notes = {},
                      .help = "",
                      .file = ""});
  };
  for (const Destination& destination : destinations) {
    const auto found = target.Find(destination.name);
    const std::string name = EscapeText(destination.name);
    if (!found) {
      wrong(destination.name, fmt::format("destination `{}`: the migration makes no tensor of this name", name));
      continue;
    }
    const auto bytes = static_cast<size_t>(*NumBytes(plan().tensors[*found].shape, plan().tensors[*found].dtype));
    if (given[*found]) wrong(destination.name, fmt::format("destination `{}` is given twice", name));
    if (destination.bytes.size() != bytes) {
      wrong(destination.name,
            fmt::format("destination `{}` has {} bytes, {} {} needs {}", name, destination.bytes.size(),
                        DTypeName(target.tensors()[*found].dtype), FormatShape(target.tensors()[*found].shape), bytes));
    }
    given[*found] = true;
    places[*found].bytes = destination.bytes;
  }
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i])
      wrong(plan().tensors[i].name, fmt::format("`{}` has no destination", EscapeText(plan().tensors[i].name)));
  }
  const std::vector<OutputTensor> outputs = TiedOutputTensors(plan());
  std::vector<size_t> by_address;
  for (size_t i = 0; i < places.size(); ++i) {
    if (!places[i].bytes.empty()) by_address.push_back(i);
  }
  // Of tensors with one place the first one in the target's order comes first.
  std::sort(by_address.begin(), by_address.end(), [&](size_t a, size_t b) {
    return std::pair(places[a].bytes.data(), a) < std::pair(places[b].bytes.data(), b);
  });
  const auto same = [&](size_t i) { return outputs[i].same_as.value_or(i); };
  for (size_t k = 1; k < by_address.size(); ++k) {
    const size_t before = by_address[k - 1], at = by_address[k];
    if (places[before].bytes.data() + places[before].bytes.size() <= places[at].bytes.data()) continue;
    places[at].shared = places[before].bytes.data() == places[at].bytes.data() &&
                        places[before].bytes.size() == places[at].bytes.size() && same(before) == same(at);
    if (places[at].shared) continue;
    wrong(plan().tensors[at].name,
          fmt::format("the destinations of `{}` and `{}` overlap", EscapeText(plan().tensors[before].name),
                      EscapeText(plan().tensors[at].name)));
  }
  if (issues.empty()) return places;
  const std::string first = issues[0].message;
  return Error(
      ErrorCode::kUsage,
      issues.size() == 1 ? first : fmt::format("{} and {} more mistakes of destinations", first, issues.size() - 1),
      std::move(issues));
}

Result<Report> Migration::LoadInto(std::span<const Destination> destinations, const RunOptions& options) const {
  CKMAP_TRY_VOID(state_->CheckRunnable());
  Report report;
  CKMAP_TRY(const std::vector<TensorPlace> places, state_->Places(destinations, report));
  Watch watch(options.stop, options.progress);
  ExecOptions run = ToExecOptions(options, watch);
  run.check_all = state_->prepared->source.crc_check;
  MigrationReport done = state_->prepared->report;
  std::vector<bool> complete;
  auto outcome = ckmap::LoadInto(*state_->prepared, places, run, complete);
  watch.Rethrow();
  if (!outcome) {
    const Error error = watch.Explain(std::move(outcome).error());
    std::vector<Issue> incomplete;
    for (size_t i = 0; i < complete.size(); ++i) {
      if (complete[i]) continue;
      const std::string& name = state_->plan().tensors[i].name;
      incomplete.push_back({.code = "",
                            .severity = Severity::kError,
                            .tensor = name,
                            .message = fmt::format("destination `{}` was not completed", EscapeText(name)),
                            .notes = {},
                            .help = "",
                            .file = ""});
    }
    const std::string written = complete.empty()     ? "nothing was written"
                                : incomplete.empty() ? "every destination was written, and none of them is to be used"
                                                     : fmt::format("{} of {} destinations were not completed",
                                                                   incomplete.size(), complete.size());
    return Error(error.code(), fmt::format("{} ({})", error.message(), written), std::move(incomplete));
  }
  done.outcome = *std::move(outcome);
  NoteOverflows(done);
  done.warnings.insert(done.warnings.end(), report.warnings.begin(), report.warnings.end());
  return ToPublic(done);
}

}  // namespace ckmap::v1
