#include "runtime/migrate/open_source.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/formats/open.h"
#include "runtime/formats/storage/named_checkpoints.h"
#include "runtime/plan/plan_names.h"

namespace ckmap {
namespace {

// Formats as people call them; each covers several as `inspect` names them.
bool IsFormat(std::string_view asked, std::string_view format) {
  const auto family = [&format](std::string_view name) {
    return format == name || format.starts_with(std::string(name) + "-");
  };
  if (asked == "ckpt") return family("ms-ckpt");
  return family(asked);
}

Result<void> CheckAsked(const std::string& path, const Checkpoint& checkpoint, const SourceOptions& options) {
  if (!options.from.empty() && !IsFormat(options.from, checkpoint.format())) {
    return Error(ErrorCode::kMalformed,
                 fmt::format("{}: is {}, not {} as --from says", path, checkpoint.format(), options.from));
  }
  if (options.crc_check && !checkpoint.has_crc()) {
    return Error(ErrorCode::kMalformed, path + ": carries no checksum (crc_num) that --crc-check could check");
  }
  return {};
}

Result<std::unique_ptr<Checkpoint>> Chosen(const std::string& path, std::unique_ptr<Checkpoint> checkpoint,
                                           const SourceOptions& options) {
  CKMAP_RETURN_IF_ERROR(CheckAsked(path, *checkpoint, options));
  // What is left out cannot be checked on the way.
  if (options.crc_check && !options.selection.empty()) CKMAP_RETURN_IF_ERROR(VerifyChecksums(*checkpoint));
  auto selected = Select(std::move(checkpoint), options.selection);
  if (!selected) return std::move(selected).error().Context(path);
  return selected;
}

}  // namespace

Result<void> VerifyChecksums(const Checkpoint& checkpoint) {
  std::set<uint32_t> storages;
  for (size_t i = 0; i < checkpoint.manifest().size(); ++i) {
    if (!checkpoint.manifest()[i].unreadable.empty()) continue;
    if (!storages.insert(checkpoint.layout(i).storage).second) continue;
    CKMAP_RETURN_IF_ERROR(checkpoint.VerifyStorage(checkpoint.layout(i).storage));
  }
  return {};
}

Result<std::unique_ptr<Checkpoint>> OpenSource(const std::string& path, const SourceOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, OpenCheckpoint(path, options.open));
  return Chosen(path, std::move(checkpoint), options);
}

Result<std::unique_ptr<Checkpoint>> OpenCheckedSource(const std::string& path, const SourceOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, OpenSource(path, options));
  if (options.crc_check) CKMAP_RETURN_IF_ERROR(VerifyChecksums(*checkpoint));
  return checkpoint;
}

Result<MigrationSource> OpenMigrationSource(const std::string& path, const SourceOptions& options) {
  MigrationSource source{.path = path, .checkpoint = nullptr, .spec = std::nullopt, .crc_check = options.crc_check};
  CKMAP_ASSIGN_OR_RETURN(CheckpointOrSpec opened, OpenCheckpointOrSpec(path, options.open));
  source.spec = std::move(opened.spec);
  if (!source.spec) {
    CKMAP_ASSIGN_OR_RETURN(source.checkpoint, Chosen(path, std::move(opened.checkpoint), options));
  }
  return source;
}

Result<NamedPath> ParseNamedPath(const std::string& text) {
  const size_t equals = text.find('=');
  NamedPath named;
  if (equals != std::string::npos) named = {text.substr(0, equals), text.substr(equals + 1)};
  if (IsSourceName(named.name) && !named.path.empty()) return named;
  return Error(ErrorCode::kUsage,
               fmt::format("--source {}: write --source NAME=FILE; NAME has letters, digits and underscores", text));
}

std::string DescribeSources(const std::string& path, const std::vector<NamedPath>& named) {
  std::string text = path;
  for (const NamedPath& one : named) text += fmt::format("{}{}={}", text.empty() ? "" : ", ", one.name, one.path);
  return text;
}

Result<MigrationSource> OpenMigrationSources(const std::string& path, const std::vector<NamedPath>& named,
                                             const SourceOptions& options) {
  if (named.empty()) return OpenMigrationSource(path, options);
  struct Part {
    std::string name;
    MigrationSource source;
  };
  std::vector<Part> parts;
  if (!path.empty()) {
    CKMAP_ASSIGN_OR_RETURN(MigrationSource first, OpenMigrationSource(path, options));
    parts.push_back({"", std::move(first)});
  }
  MigrationSource all{.path = DescribeSources(path, named), .checkpoint = nullptr, .spec = std::nullopt};
  all.crc_check = options.crc_check && !path.empty();
  for (const NamedPath& one : named) {
    if (std::count(all.spaces.begin(), all.spaces.end(), one.name) > 0)
      return Error(ErrorCode::kUsage, fmt::format("--source {}: given twice", one.name));
    all.spaces.push_back(one.name);
    CKMAP_ASSIGN_OR_RETURN(MigrationSource source, OpenMigrationSource(one.path, {}));
    parts.push_back({one.name, std::move(source)});
  }
  const bool values =
      std::all_of(parts.begin(), parts.end(), [](const Part& part) { return part.source.checkpoint != nullptr; });
  if (values) {
    std::vector<NamedCheckpoint> checkpoints;
    for (Part& part : parts) checkpoints.push_back({part.name, std::move(part.source.checkpoint)});
    CKMAP_ASSIGN_OR_RETURN(all.checkpoint, JoinByName(std::move(checkpoints)));
    return all;
  }
  // One of them is a spec: names and shapes are all that there is of the whole.
  all.spec.emplace();
  all.spec->framework = parts.front().source.manifest().framework;
  for (const Part& part : parts) {
    for (TensorInfo info : part.source.manifest().tensors()) {
      if (!part.name.empty()) info.name = NameInSpace(part.name, info.name);
      info.storage = -1;
      const std::string name = info.name;
      if (!all.spec->Add(std::move(info)))
        return Error(ErrorCode::kMalformed, fmt::format("two sources have a tensor {}", QuoteName(name)));
    }
  }
  return all;
}

}  // namespace ckmap
