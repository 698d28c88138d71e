#include "runtime/migrate/public_options.h"

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/formats/mindspore/ms_cipher.h"
#include "runtime/plan/device_map.h"

namespace ckmap::v1 {
namespace {

ckmap::Result<std::optional<CipherMode>> ToCipher(std::string_view option, const std::string& name) {
  if (name.empty()) return std::optional<CipherMode>();
  const auto mode = ParseCipherMode(name);
  if (mode) return std::optional(*mode);
  return ckmap::Error(ckmap::ErrorCode::kUsage,
                      fmt::format("{} \"{}\": not one of aes-gcm, aes-cbc, sm4-cbc", option, name));
}

}  // namespace

ckmap::Result<SourceOptions> ToSourceOptions(const OpenOptions& options) {
  SourceOptions source;
  source.open.root = options.root;
  source.open.skip_unknown_objects = options.skip_unknown_objects;
  source.open.strategy = options.strategy.string();
  source.open.key = SecretKey(options.key);
  CKMAP_ASSIGN_OR_RETURN(source.open.cipher, ToCipher("cipher", options.cipher));
  source.from = options.format;
  source.crc_check = options.crc_check;
  source.selection = {.specify_prefix = options.selection.specify_prefix,
                      .filter_prefix = options.selection.filter_prefix,
                      .only = options.selection.only,
                      .drop = options.selection.drop};
  return source;
}

ckmap::Result<ParamFiles> ToParamFiles(const Params& params) {
  ParamFiles files{.defines = params.values,
                   .config = params.config.string(),
                   .config_json = params.config_json,
                   .ranks = {},
                   .device_map = params.device_map.string()};
  for (const auto& [group, rank] : params.ranks) {
    if (rank.count < 1 || rank.index < 0 || rank.index >= rank.count) {
      return ckmap::Error(ckmap::ErrorCode::kUsage,
                          fmt::format("rank {}/{} of `{}`: ranks count from 0", rank.index, rank.count, group));
    }
    files.ranks[group] = {.index = rank.index, .count = rank.count};
  }
  if (!params.config_json.empty() && !params.config.empty()) {
    return ckmap::Error(ckmap::ErrorCode::kUsage, "config and config_json: give one of them");
  }
  return files;
}

ckmap::Result<BindOptions> ToBindOptions(const Params& params) {
  CKMAP_ASSIGN_OR_RETURN(const ParamFiles files, ToParamFiles(params));
  return ReadParams(files);
}

ckmap::Result<SaveRequest> ToSaveRequest(const std::string& path, const SaveOptions& options, Watch& watch) {
  SaveRequest request;
  CKMAP_ASSIGN_OR_RETURN(request.format, FindOutputFormat(path, options.format, "format"));
  if (options.max_shard_size < 0) return ckmap::Error(ckmap::ErrorCode::kUsage, "max_shard_size is negative");
  request.write.max_shard_size = options.max_shard_size;
  request.write.crc = options.crc;
  request.write.old_scalars = options.old_scalars;
  request.write.force = options.force;
  request.write.fsync = options.fsync;
  CKMAP_ASSIGN_OR_RETURN(request.write.cipher, ToCipher("encrypt", options.encrypt));
  if (request.write.cipher && options.key.empty())
    return ckmap::Error(ckmap::ErrorCode::kUsage, "encrypt: a key is needed");
  if (!request.write.cipher && !options.key.empty())
    return ckmap::Error(ckmap::ErrorCode::kUsage, "a key for the output is of use only with encrypt");
  request.write.key = SecretKey(options.key);
  request.digests = options.digest;
  request.run = ToExecOptions(options.run, watch);
  request.run.digest = options.digest;
  return request;
}

ExecOptions ToExecOptions(const RunOptions& options, Watch& watch) {
  ExecOptions run;
  run.threads = options.threads;
  run.max_memory = options.max_memory;
  run.progress = watch.progress();
  run.stop = watch.stop();
  return run;
}

}  // namespace ckmap::v1
