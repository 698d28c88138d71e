#include <utility>

#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/formats/open.h"
#include "runtime/formats/spec/spec_writer.h"
#include "runtime/migrate/digests.h"
#include "runtime/report/inspect.h"
#include "runtime/report/shared_bytes.h"

namespace ckmap {
namespace {

// Specs have names and shapes, but no bytes and no format of a checkpoint.
bool LooksLikeSpec(const std::string& path) {
  for (const std::string_view ending : {".yaml", ".yml"}) {
    if (path.size() > ending.size() && path.ends_with(ending)) return true;
  }
  return false;
}

int PrintSpec(const InspectArgs& args, const Console& console, const Manifest& manifest) {
  return console.Write(args.format == DataFormat::kJson ? SpecJson(manifest) : SpecYaml(manifest));
}

// Tensors that cannot be had are no part of a spec: no migration could write them.
int PrintSpecOf(const InspectArgs& args, const Console& console, const Checkpoint& checkpoint) {
  const std::vector<size_t> first = FirstOfSameBytes(checkpoint);
  Manifest spec;
  spec.framework = checkpoint.manifest().framework;
  int64_t unreadable = 0;
  for (size_t i = 0; i < checkpoint.manifest().size(); ++i) {
    TensorInfo tensor = checkpoint.manifest()[i];
    if (!tensor.unreadable.empty()) ++unreadable;
    if (!tensor.unreadable.empty()) continue;
    if (first[i] != i) tensor.tied_to = checkpoint.manifest()[first[i]].name;
    CKMAP_CHECK(spec.Add(std::move(tensor)));
  }
  console.Warn(checkpoint.warnings());
  if (unreadable > 0)
    console.Warn({fmt::format("left out of the spec: {} that cannot be read", Plural(unreadable, "tensor"))});
  return PrintSpec(args, console, spec);
}

int InspectSpec(const InspectArgs& args, const Console& console, const Manifest& manifest) {
  if (args.digest) {
    return console.Fail({ErrorCode::kUsage, args.path + ": a spec holds no bytes to digest"});
  }
  if (args.spec) return PrintSpec(args, console, manifest);
  return console.Write(
      args.format == DataFormat::kJson
          ? InspectSpecJson(args.path, manifest)
          : InspectSpecText(args.path, manifest, {.style = console.out(), .all = args.all, .digests = {}}));
}

Result<std::vector<std::string>> Digests(const Checkpoint& checkpoint, const Console& console) {
  ProgressBar bar(console, "reading");
  return DigestTensors(checkpoint, [&bar](int64_t done, int64_t total) { bar.Update(done, total); });
}

}  // namespace

int RunInspect(const InspectArgs& args, const Console& console) {
  const auto source = MakeSourceOptions(args.open);
  if (!source) return console.Fail(source.error());
  const auto checkpoint = OpenCheckedSource(args.path, *source);
  if (!checkpoint) {
    if (LooksLikeSpec(args.path)) {
      auto manifest = ReadManifest(args.path);
      if (manifest) return InspectSpec(args, console, *manifest);
      return console.Fail(manifest.error());
    }
    return console.Fail(checkpoint.error());
  }
  if (args.spec && args.digest) {
    return console.Fail({ErrorCode::kUsage, "--spec and --digest: a spec has no place for digests"});
  }
  if (args.spec) return PrintSpecOf(args, console, **checkpoint);
  InspectOptions options{.style = console.out(), .all = args.all, .digests = {}};
  if (args.digest) {
    auto digests = Digests(**checkpoint, console);
    if (!digests) return console.Fail(digests.error());
    options.digests = *std::move(digests);
  }
  console.Warn((*checkpoint)->warnings());
  return console.Write(args.format == DataFormat::kJson ? InspectJson(args.path, **checkpoint, options)
                                                        : InspectText(args.path, **checkpoint, options));
}

}  // namespace ckmap
