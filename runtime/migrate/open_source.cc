#include "runtime/migrate/open_source.h"

#include <set>
#include <utility>

#include <fmt/format.h>

#include "runtime/formats/open.h"

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

}  // namespace ckmap
