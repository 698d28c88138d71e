#include <filesystem>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/suggest/suggest.h"
#include "runtime/formats/open.h"

namespace ckmap {

int SuggestCommand(const CompilerArgs& args, const std::string& source, const std::string& target, const FileOptions& files) {
  const Result<Manifest> from = ReadSource(source, files.source), to = ReadTarget(target, files.target);
  if (!from) return PrintError(from.error());
  if (!to) return PrintError(to.error());
  const auto name = [](const std::string& path) { return std::filesystem::path(path).filename().string(); };
  const Result<Suggestion> suggestion = Suggest(*from, *to, {PackPath(args.includes), name(source), name(target)});
  if (!suggestion) return PrintError(suggestion.error());
  fmt::print(stderr, "{} of {} targets, {} of them for sure\n", suggestion->certain.size() + suggestion->open.size(), suggestion->targets,
             suggestion->certain.size());
  if (args.output.empty()) {
    fmt::print("{}", suggestion->text);
    return 0;
  }
  const Result<void> written = WriteAtomically(args.output, suggestion->text);
  return written ? 0 : PrintError(written.error());
}

}  // namespace ckmap
