#include "runtime/migrate/prepare.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/base/file.h"
#include "runtime/bind/explain/target_questions.h"
#include "runtime/causes/find_causes.h"
#include "runtime/exec/tensor_reader.h"
#include "runtime/plan/device_map.h"

namespace ckmap {
namespace {

bool EndsIn(const std::string& path, std::string_view ending) {
  return path.size() > ending.size() && path.ends_with(ending);
}

// Whether the rules of a plan ask for values of small tensors of the source.
bool AsksForContents(const Plan& plan) {
  // Names of functions stand in the bytes as they are written; a rule's text may hold them, too, and costs a little.
  const std::string bytes = SerializePlan(plan.proto());
  return bytes.find("source_value") != std::string::npos || bytes.find("source_json") != std::string::npos;
}

// What the first rank of a group holds says what is cut over the group, and that it can be.
Result<void> FindCuts(const Plan& plan, const Manifest& target, BindOptions options, const std::vector<MeshAxis>& mesh,
                      size_t axis, PreparedMigration& migration) {
  const auto& shards = plan.proto().shards();
  const bool cuts = std::any_of(shards.begin(), shards.end(),
                                [&](const plan::Shard& shard) { return shard.group() == mesh[axis].group; });
  if (!cuts) return {};
  options.remarks = false;
  options.placement.ranks = {{mesh[axis].group, {.index = 0, .count = mesh[axis].count}}};
  CKMAP_ASSIGN_OR_RETURN(BindResult bound, Bind(plan, migration.source.manifest(), target, options));
  if (!bound.plan) {
    migration.report.issues = std::move(bound.issues);
    migration.report.bound.reset();
    return {};
  }
  for (const auto& [tensor, slices] : bound.plan->slices) {
    for (const TensorSlice& slice : slices)
      migration.cuts[tensor].push_back({.axis = static_cast<size_t>(slice.axis), .mesh_axis = axis});
  }
  return {};
}

}  // namespace

Result<std::map<std::string, std::string, std::less<>>> SmallContents(const Checkpoint& checkpoint) {
  std::map<std::string, std::string, std::less<>> contents;
  for (size_t i = 0; i < checkpoint.manifest().size(); ++i) {
    const TensorInfo& info = checkpoint.manifest()[i];
    if (!IsInteger(info.dtype) || !info.unreadable.empty()) continue;
    const auto bytes = NumBytes(info.shape, info.dtype);
    if (!bytes || *bytes == 0 || *bytes > kMaxSmallTensor) continue;
    CKMAP_ASSIGN_OR_RETURN(const auto reader, TensorReader::Make(checkpoint, i));
    std::string text(static_cast<size_t>(*bytes), '\0');
    CKMAP_RETURN_IF_ERROR(reader->Read(0, std::as_writable_bytes(std::span(text))));
    contents.emplace(info.name, std::move(text));
  }
  return contents;
}

Result<void> AskSource(const Plan& plan, const MigrationSource& source, BindOptions& bind) {
  bind.source.spaces = source.spaces;
  if (source.checkpoint == nullptr || !bind.source.contents.empty() || !AsksForContents(plan)) return {};
  CKMAP_ASSIGN_OR_RETURN(bind.source.contents, SmallContents(*source.checkpoint));
  return {};
}

Result<Plan> LoadPlanOrPack(const std::string& path_or_pack) {
  std::error_code error;
  if (EndsIn(path_or_pack, ".ckmap")) {
    return Error(ErrorCode::kUsage,
                 fmt::format("{} holds rules, not a plan; compile it first: ckmapc {}", path_or_pack, path_or_pack));
  }
  if (EndsIn(path_or_pack, ".ckplan") || std::filesystem::is_regular_file(path_or_pack, error))
    return LoadPlan(path_or_pack);
  CKMAP_ASSIGN_OR_RETURN(const std::string path, FindPackPlan(path_or_pack));
  return LoadPlan(path);
}

Result<BindOptions> ReadParams(const ParamFiles& files) {
  BindOptions bind{.defines = files.defines, .config_json = "", .config_path = files.config, .placement = {}};
  if (!files.config_json.empty()) {
    bind.config_json = files.config_json;
    bind.config_path = "config.json";
  } else if (!files.config.empty()) {
    CKMAP_ASSIGN_OR_RETURN(bind.config_json, ReadTextFile(files.config, int64_t{64} << 20));
  }
  bind.placement.ranks = files.ranks;
  if (!files.device_map.empty()) {
    CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(files.device_map, int64_t{8} << 20));
    CKMAP_ASSIGN_OR_RETURN(bind.placement.devices, ParseDeviceMap(text, files.device_map));
  }
  return bind;
}

Result<PreparedMigration> PrepareMigration(const Plan& plan, MigrationSource source, std::optional<TargetFile> target,
                                           const BindOptions& options, const std::vector<MeshAxis>& mesh) {
  PreparedMigration migration{
      .report = MigrationReport::Of(plan), .source = std::move(source), .to_framework = plan.proto().to_framework()};
  MigrationReport& report = migration.report;
  report.source_path = migration.source.path;
  report.source_format = migration.source.spec ? "spec" : migration.source.checkpoint->format();
  if (migration.source.checkpoint != nullptr) report.warnings = migration.source.checkpoint->warnings();
  BindOptions bind = options;
  CKMAP_RETURN_IF_ERROR(AskSource(plan, migration.source, bind));
  std::optional<Issue> note;
  if (!target) {
    CKMAP_ASSIGN_OR_RETURN(TargetDescription description, DescribeTarget(plan, migration.source.manifest(), bind));
    note = NoTargetNote(plan.proto());
    if (!description.target) {
      report.issues = std::move(description.issues);
      report.issues.push_back(*std::move(note));
      return migration;
    }
    target.emplace(TargetFile{.manifest = *std::move(description.target)});
  }
  migration.nesting = std::move(target->nesting);
  if (migration.nesting != nullptr) report.target_root = migration.nesting->root_name;
  CKMAP_ASSIGN_OR_RETURN(BindResult bound, Bind(plan, migration.source.manifest(), target->manifest, bind));
  report.issues = std::move(bound.issues);
  if (note) {
    report.issues.push_back(*std::move(note));
    std::stable_sort(report.issues.begin(), report.issues.end(),
                     [](const Issue& a, const Issue& b) { return a.severity < b.severity; });
  } else if (!bound.plan) {
    const std::string& format = report.source_format;
    report.causes = FindCauses(plan, migration.source.manifest(), target->manifest, bind, report.issues,
                               {.source_has_roots = format.starts_with("torch")});
  }
  if (bound.plan) report.bound = std::make_shared<const BoundPlan>(*std::move(bound.plan));
  for (size_t axis = 0; axis < mesh.size() && report.bound; ++axis) {
    CKMAP_RETURN_IF_ERROR(FindCuts(plan, target->manifest, bind, mesh, axis, migration));
  }
  return migration;
}

}  // namespace ckmap
