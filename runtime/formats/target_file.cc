#include "runtime/formats/target_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/base/text.h"
#include "runtime/formats/open.h"
#include "runtime/formats/selected_checkpoint.h"
#include "runtime/formats/storage/ties.h"
#include "runtime/formats/torch/torch.h"

namespace ckmap {
namespace {

// Without what the selection leaves out of the root, and without containers of nothing else. What stands beside the root
// is no part of the choice.
std::shared_ptr<const Nesting> Select(const std::shared_ptr<const Nesting>& nesting, const Selection& selection) {
  using Kind = Nesting::Kind;
  if (nesting == nullptr || selection.empty()) return nesting;
  auto selected = std::make_shared<Nesting>(*nesting);
  std::vector<bool> kept(nesting->nodes.size(), true);
  for (size_t i = nesting->nodes.size(); i-- > 0;) {
    Nesting::Node& node = selected->nodes[i];
    const auto keeps = [&kept](uint32_t part) { return kept[part]; };
    if (i != nesting->root && node.inside) {
      kept[i] =
          node.parts.empty() ? Keeps(selection, node.name) : std::any_of(node.parts.begin(), node.parts.end(), keeps);
    }
    if (node.kind == Kind::kDict) {
      std::erase_if(node.parts, [&keeps](uint32_t part) { return !keeps(part); });
      continue;
    }
    for (const uint32_t part : node.parts) {
      if (keeps(part)) continue;
      selected->nodes[part].kind = Kind::kLeftOut;
      selected->nodes[part].parts.clear();
    }
  }
  return selected;
}

// Readers recommend the option of a source. A target's has another name.
Error WithOptionsOf(const std::string& begin, const Error& error) {
  constexpr std::string_view kOption = "--skip-unknown-objects";
  std::string message = error.message();
  if (const size_t at = message.rfind(kOption); at != std::string::npos) message.replace(at, 2, begin);
  return Error(error.code(), message);
}

// The dict that an output has around the tensors of a spec.
Result<std::shared_ptr<const Nesting>> NestingOfSpec(const std::string& path, const Manifest& spec,
                                                     const std::string& root, const std::string& begin) {
  if (begin == "--") {
    return Error(ErrorCode::kUsage, fmt::format("{}: a spec has no dicts that {}root could name", path, begin));
  }
  std::vector<std::string> names;
  for (const TensorInfo& tensor : spec.tensors()) names.push_back(tensor.name);
  const bool repeated = !names.empty() && std::all_of(names.begin(), names.end(), [&root](const std::string& name) {
    return name.starts_with(root + ".");
  });
  if (repeated) {
    return Error(ErrorCode::kUsage,
                 fmt::format("{0}: all names begin with `{1}.`, and {2}root {1} would put another dict of that name "
                             "around them: take the names inside of it (ckmap inspect --spec --root {1})",
                             path, EscapeText(root), begin));
  }
  return NestingOf(names, root);
}

bool HasDicts(std::string_view format) { return format.starts_with("torch") || format == "pickle"; }

Result<TargetFile> ReadPart(const std::string& path, const TargetOptions& options, const std::string& begin) {
  OpenOptions open;
  open.root = options.root;
  open.skip_unknown_objects = options.skip_unknown_objects;
  auto opened = OpenCheckpointOrSpec(path, open);
  if (!opened) {
    Error error = WithOptionsOf(begin, std::move(opened).error());
    if (options.root.empty() || error.code() != ErrorCode::kUsage) return error;
    return std::move(error).Context(fmt::format("{}root {}", begin, EscapeText(options.root)));
  }
  TargetFile file{.manifest = {}, .spec = opened->spec.has_value()};
  if (!file.spec && !options.root.empty() && !HasDicts(opened->checkpoint->format())) {
    return Error(ErrorCode::kUsage, fmt::format("{}root {}: {} is {}: only torch files and pickles have dicts", begin,
                                                EscapeText(options.root), path, opened->checkpoint->format()));
  }
  if (!file.spec) {
    file.nesting = Select(NestingOf(*opened->checkpoint), options.selection);
  } else if (!options.root.empty()) {
    CKMAP_ASSIGN_OR_RETURN(file.nesting, NestingOfSpec(path, *opened->spec, options.root, begin));
  }
  auto selected =
      Select(file.spec ? *std::move(opened->spec) : ManifestWithTies(*opened->checkpoint), options.selection, begin);
  if (!selected) return std::move(selected).error().Context(path);
  file.manifest = *std::move(selected);
  return file;
}

}  // namespace

Result<TargetFile> ReadTargetFile(const std::string& path, const TargetOptions& options) {
  return ReadPart(path, options, "--target-");
}

Result<Manifest> ReadSource(const std::string& path, const TargetOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(TargetFile file, ReadPart(path, options, "--"));
  return std::move(file.manifest);
}

Result<Manifest> ReadTarget(const std::string& path, const TargetOptions& options) {
  CKMAP_ASSIGN_OR_RETURN(TargetFile file, ReadPart(path, options, "--target-"));
  return std::move(file.manifest);
}

std::shared_ptr<const Nesting> NestingOf(const Checkpoint& checkpoint) {
  const auto* const selected = dynamic_cast<const SelectedCheckpoint*>(&checkpoint);
  return TorchNesting(selected == nullptr ? checkpoint : selected->whole());
}

}  // namespace ckmap
