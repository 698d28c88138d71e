// <ckmap/compiler.h>: drafts of rules.
#include "runtime/migrate/public.h"

#include "compiler/include/ckmap/compiler.h"

#include "compiler/suggest/suggest.h"
#include "runtime/base/file.h"

namespace ckmap::v1 {
namespace {

Result<Draft> Draw(const ckmap::Manifest& source, const ckmap::Manifest& target, const SuggestOptions& options,
                   const ckmap::Checkpoint* from, const ckmap::Checkpoint* to) {
  ckmap::SuggestOptions suggest;
  for (const std::filesystem::path& folder : options.packs) suggest.pack_path.push_back(folder.string());
  for (std::string& folder : PackFolders()) suggest.pack_path.push_back(std::move(folder));
  suggest.source_name = options.source_name;
  suggest.target_name = options.target_name;
  suggest.packs = options.try_packs;
  suggest.defines = options.params;
  if (!options.config.empty()) {
    suggest.config_path = options.config.string();
    CKMAP_PUBLIC_OR_RETURN(suggest.config_json, ReadTextFile(suggest.config_path));
  }
  suggest.source = from;
  suggest.target = to;
  CKMAP_PUBLIC_OR_RETURN(Suggestion suggestion, ckmap::Suggest(source, target, suggest));
  return Draft{.text = std::move(suggestion.text),
               .certain = std::move(suggestion.certain),
               .open = std::move(suggestion.open),
               .decisions = static_cast<int64_t>(suggestion.decisions)};
}

}  // namespace

Result<Draft> Suggest(const Manifest& source, const Manifest& target, const SuggestOptions& options) {
  return Draw(Access::StateOf(source).manifest, Access::StateOf(target).manifest, options, nullptr, nullptr);
}

Result<Draft> Suggest(const Checkpoint& source, const Checkpoint& target, const SuggestOptions& options) {
  const ckmap::Checkpoint& from = *Access::StateOf(source).checkpoint;
  const ckmap::Checkpoint& to = *Access::StateOf(target).checkpoint;
  return Draw(from.manifest(), to.manifest(), options, &from, &to);
}

}  // namespace ckmap::v1
