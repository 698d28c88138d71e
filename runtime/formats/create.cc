#include "runtime/formats/create.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/formats/gguf/gguf_writer.h"
#include "runtime/formats/mindspore/mf_writer.h"
#include "runtime/formats/mindspore/ms_ckpt_writer.h"
#include "runtime/formats/numpy/npz_writer.h"
#include "runtime/formats/older_checkpoint.h"
#include "runtime/formats/safetensors/safetensors_writer.h"
#include "runtime/formats/torch/torch_writer.h"

namespace ckmap {
namespace {

struct WrittenFormat {
  OutputFormat format;
  std::string_view name;                    // of --to
  std::array<std::string_view, 3> endings;  // of files
  Result<std::unique_ptr<CheckpointWriter>> (*create)(const std::string&, std::vector<OutputTensor>,
                                                      const WriteOptions&);
};

Result<std::unique_ptr<CheckpointWriter>> CreateMindFormers(const std::string& path, std::vector<OutputTensor> tensors,
                                                            const WriteOptions& options) {
  return CreateMfCheckpoint(path, std::move(tensors), options, CreateSafetensorsSet);
}

constexpr std::array<WrittenFormat, 6> kOutputFormats = {{
    {OutputFormat::kMindSporeCkpt, "ckpt", {".ckpt"}, CreateMindSporeCkpt},
    {OutputFormat::kSafetensors, "safetensors", {".safetensors"}, CreateSafetensors},
    {OutputFormat::kTorch, "torch", {".pt", ".pth", ".bin"}, CreateTorch},
    {OutputFormat::kNpz, "npz", {".npz"}, CreateNpz},
    {OutputFormat::kGguf, "gguf", {".gguf"}, CreateGguf},
    {OutputFormat::kMindFormers, "ckpt2", {}, CreateMindFormers},
}};

}  // namespace

Result<std::unique_ptr<CheckpointWriter>> CreateCheckpoint(const std::string& path, OutputFormat format,
                                                           std::vector<OutputTensor> tensors,
                                                           const WriteOptions& options) {
  if (options.cipher && format != OutputFormat::kMindSporeCkpt) {
    return Error(ErrorCode::kUsage,
                 path + ": only a MindSpore .ckpt can be encrypted; MindSpore refuses a key for other formats");
  }
  const bool mindformers = format == OutputFormat::kMindFormers;
  if (!options.mesh.empty() && !mindformers) {
    return Error(ErrorCode::kUsage, path + ": a mesh of ranks needs a format that holds the files of all ranks: ckpt2");
  }
  if (mindformers && options.max_shard_size > 0) {
    return Error(ErrorCode::kUsage, path + ": a checkpoint of MindFormers has a file for each rank and no shards");
  }
  const bool shards = format == OutputFormat::kSafetensors && options.max_shard_size > 0;
  const std::string file = shards ? ShardedName(path) : mindformers ? MfFileIn(path) : path;
  const bool whole_folder = file != path;
  WriteOptions with = options;
  if (whole_folder) {
    // Among other weights in the folder, an index says which are those of the output.
    CKMAP_ASSIGN_OR_RETURN(const OlderCheckpoint older, FindOlderCheckpoint(file, whole_folder));
    with.index = !older.left.empty();
    if (mindformers && !older.left.empty()) {
      return Error(ErrorCode::kUsage,
                   fmt::format("{}: holds other weights (`{}`), which MindFormers would read with the "
                               "output: remove them, or choose another folder",
                               path, EscapeText(older.left.front())));
    }
  }
  const auto known = std::find_if(kOutputFormats.begin(), kOutputFormats.end(),
                                  [format](const WrittenFormat& f) { return f.format == format; });
  CKMAP_CHECK(known != kOutputFormats.end());
  CKMAP_ASSIGN_OR_RETURN(std::unique_ptr<CheckpointWriter> writer, known->create(path, std::move(tensors), with));
  CKMAP_RETURN_IF_ERROR(ReplaceOlderCheckpoint(file, whole_folder, options.force, *writer));
  return writer;
}

std::string OutputFormatNames() {
  std::string names;
  for (const WrittenFormat& known : kOutputFormats) {
    if (!names.empty()) names += &known == &kOutputFormats.back() ? " or " : ", ";
    names += known.name;
  }
  return names;
}

std::optional<OutputFormat> OutputFormatFromPath(std::string_view path) {
  for (const WrittenFormat& known : kOutputFormats) {
    for (const std::string_view ending : known.endings) {
      if (!ending.empty() && path.ends_with(ending)) return known.format;
    }
  }
  return std::nullopt;
}

std::optional<OutputFormat> ParseOutputFormat(std::string_view name) {
  for (const WrittenFormat& known : kOutputFormats) {
    if (known.name == name) return known.format;
  }
  return std::nullopt;
}

}  // namespace ckmap
