#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/suggest/numbered.h"
#include "compiler/suggest/suggest.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/formats/open.h"
#include "runtime/tensor/open_sizes.h"

namespace ckmap {
namespace {

// Manifests, and with --values the checkpoints that they are of.
struct SuggestInputs {
  std::unique_ptr<Checkpoint> source_file, target_file;
  Manifest source, target;
  std::vector<std::unique_ptr<Checkpoint>> further_sources, further_targets;
};

Result<std::unique_ptr<Checkpoint>> OpenElements(const std::string& path, const TargetOptions& options) {
  OpenOptions open;
  open.root = options.root;
  open.skip_unknown_objects = options.skip_unknown_objects;
  return OpenCheckpoint(path, open);
}

Result<SuggestInputs> ReadInputs(const SuggestArgs& suggest) {
  SuggestInputs inputs;
  CKMAP_ASSIGN_OR_RETURN(inputs.source, ReadSource(suggest.source, suggest.files.source));
  CKMAP_ASSIGN_OR_RETURN(inputs.target, ReadTarget(suggest.target, suggest.files.target));
  if (!suggest.values) return inputs;
  CKMAP_ASSIGN_OR_RETURN(inputs.source_file, OpenElements(suggest.source, suggest.files.source));
  CKMAP_ASSIGN_OR_RETURN(inputs.target_file, OpenElements(suggest.target, suggest.files.target));
  if (inputs.source.size() != inputs.source_file->manifest().size() ||
      inputs.target.size() != inputs.target_file->manifest().size()) {
    return Error(ErrorCode::kUsage,
                 "--values compares whole checkpoints: leave out --only, --drop, --target-only and --target-drop");
  }
  return inputs;
}

std::string KindOf(const TensorInfo& tensor) {
  return fmt::format("{} {}", DTypeName(tensor.dtype), FormatShape(tensor.shape));
}

// An error about a file whose name nobody has chosen.
Error Renamed(const Error& error, const std::string& path) {
  std::string text = error.message();
  if (const size_t at = text.find(path); at != std::string::npos)
    text.replace(at, path.size(), "the converter's output");
  return Error(error.code(), std::move(text));
}

// A converter whose tensors depend on the values cannot be learnt from other values.
Result<void> CheckSameTensors(const Manifest& first, const Manifest& other) {
  for (const auto& [some, all] : {std::pair{&first, &other}, std::pair{&other, &first}}) {
    for (const TensorInfo& tensor : some->tensors()) {
      const auto found = all->Find(tensor.name);
      if (found && KindOf((*all)[*found]) == KindOf(tensor)) continue;
      return Error(
          ErrorCode::kMismatch,
          fmt::format("the converter writes other tensors where the source holds other values: `{}` is {} in one "
                      "run and {} in another",
                      EscapeText(tensor.name), KindOf(tensor), found ? KindOf((*all)[*found]) : "missing"));
    }
  }
  return {};
}

// Runs the converter on one numbering after the other.
Result<SuggestInputs> LearnFrom(ConverterRuns& runs, const SuggestArgs& suggest) {
  SuggestInputs inputs;
  CKMAP_ASSIGN_OR_RETURN(inputs.source, ReadSource(suggest.source, suggest.files.source));
  CKMAP_RETURN_IF_ERROR(CheckSizesAreKnown(inputs.source, "source"));
  suggest::Numbering numbering(inputs.source, nullptr);
  for (int run = 0; run < numbering.runs(); ++run) {
    CKMAP_RETURN_IF_ERROR(numbering.Write(inputs.source, runs.SourcePath(), run));
    CKMAP_ASSIGN_OR_RETURN(const ConverterRuns::Files files, runs.Run(run));
    CKMAP_ASSIGN_OR_RETURN(auto source, OpenCheckpoint(files.source, {}));
    auto opened = OpenElements(files.target, suggest.files.target);
    if (!opened) return Renamed(opened.error(), files.target);
    auto target = *std::move(opened);
    if (run > 0) {
      CKMAP_RETURN_IF_ERROR(CheckSameTensors(inputs.target, target->manifest()));
      inputs.further_sources.push_back(std::move(source));
      inputs.further_targets.push_back(std::move(target));
      continue;
    }
    if (target->manifest().size() == 0) return Error(ErrorCode::kMismatch, "the converter's output holds no tensors");
    inputs.source = source->manifest();
    inputs.target = target->manifest();
    inputs.source_file = std::move(source);
    inputs.target_file = std::move(target);
    numbering = suggest::Numbering(inputs.source, &inputs.target);
  }
  return inputs;
}

}  // namespace

int SuggestCommand(const CompilerArgs& args, const SuggestArgs& suggest, ConverterRuns* runs) {
  const Result<SuggestInputs> inputs = runs != nullptr ? LearnFrom(*runs, suggest) : ReadInputs(suggest);
  if (!inputs) return PrintError(inputs.error());
  const auto name = [](const std::string& path) { return std::filesystem::path(path).filename().string(); };
  SuggestOptions options;
  options.pack_path = PackPath(args.includes);
  options.source_name = name(suggest.source);
  options.target_name = name(suggest.target);
  options.packs = !suggest.no_packs;
  options.source = inputs->source_file.get();
  options.target = inputs->target_file.get();
  for (size_t i = 0; i < inputs->further_sources.size(); ++i)
    options.further.emplace_back(inputs->further_sources[i].get(), inputs->further_targets[i].get());
  if (runs != nullptr) options.converter = suggest.converter.command;
  for (const std::string& define : args.defines) {
    const size_t equals = define.find('=');
    if (equals == std::string::npos || equals == 0)
      return PrintError(Error(ErrorCode::kUsage, fmt::format("-D {}: write name=value", define)));
    options.defines[define.substr(0, equals)] = define.substr(equals + 1);
  }
  if (!args.config.empty()) {
    Result<std::string> config = ReadTextFile(args.config);
    if (!config) return PrintError(config.error());
    options.config_json = *std::move(config);
    options.config_path = args.config;
  }
  const Result<Suggestion> suggestion = Suggest(inputs->source, inputs->target, options);
  if (!suggestion) return PrintError(suggestion.error());
  fmt::print(stderr, "{} of {} targets, {} of them for sure; {}\n",
             suggestion->certain.size() + suggestion->open.size(), suggestion->targets, suggestion->certain.size(),
             suggestion->decisions == 0 ? "nothing is left to decide"
                                        : Plural(static_cast<int64_t>(suggestion->decisions), "decision") + " to make");
  for (const std::string& note : suggestion->notes) fmt::print(stderr, "note: {}\n", note);
  if (args.output.empty()) {
    fmt::print("{}", suggestion->text);
    return 0;
  }
  const Result<void> written = WriteNewText(args.output, suggestion->text);
  return written ? 0 : PrintError(written.error());
}

}  // namespace ckmap
