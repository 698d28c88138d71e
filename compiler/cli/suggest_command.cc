#include <filesystem>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/suggest/suggest.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/formats/open.h"

namespace ckmap {
namespace {

// Manifests, and with --values the checkpoints that they are of.
struct SuggestInputs {
  std::unique_ptr<Checkpoint> source_file, target_file;
  Manifest source, target;
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

}  // namespace

int SuggestCommand(const CompilerArgs& args, const SuggestArgs& suggest) {
  const Result<SuggestInputs> inputs = ReadInputs(suggest);
  if (!inputs) return PrintError(inputs.error());
  const auto name = [](const std::string& path) { return std::filesystem::path(path).filename().string(); };
  SuggestOptions options;
  options.pack_path = PackPath(args.includes);
  options.source_name = name(suggest.source);
  options.target_name = name(suggest.target);
  options.packs = !suggest.no_packs;
  options.source = inputs->source_file.get();
  options.target = inputs->target_file.get();
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
  if (args.output.empty()) {
    fmt::print("{}", suggestion->text);
    return 0;
  }
  const Result<void> written = WriteNewText(args.output, suggestion->text);
  return written ? 0 : PrintError(written.error());
}

}  // namespace ckmap
