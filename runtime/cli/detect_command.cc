// `ckmap plan --detect`: which packs bind. It applies none.
#include <string>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/migrate/detect.h"

namespace ckmap {
namespace {

std::string DetectionText(const Detection& detection, const Style& style) {
  std::string text;
  for (const PackFit& fit : detection.search.fitting) {
    text += fmt::format("{}  {}{}", style.Bold(fit.described ? "fits " : "binds"), EscapeText(fit.name),
                        fit.library.empty() ? "" : fmt::format(" (to {})", EscapeText(fit.library)));
    text += fmt::format(": {}\n", Plural(static_cast<int64_t>(fit.plan.tensors.size()), "tensor"));
    if (fit.differs) text += "         it moves other elements than the first: choose the one for your network\n";
    for (const std::string& decision : fit.decisions) text += fmt::format("         {}\n", EscapeText(decision));
  }
  for (const PackMisfit& misfit : detection.search.others)
    text += fmt::format("no     {}: {}\n", EscapeText(misfit.name), EscapeText(misfit.reason));
  return text;
}

std::string DetectionJson(const Detection& detection) {
  JsonWriter json;
  json.BeginObject().OnLines();
  json.Key("source").String(detection.source.path);
  json.Key("config").String(detection.config);
  json.Key("fitting").BeginArray().OnLines();
  for (const PackFit& fit : detection.search.fitting) {
    json.BeginObject().Key("pack").String(fit.name).Key("library").String(fit.library);
    json.Key("tensors").Int(static_cast<int64_t>(fit.plan.tensors.size()));
    json.Key("target_described_by_pack").Bool(fit.described).Key("differs_from_first").Bool(fit.differs);
    json.Key("decisions").BeginArray();
    for (const std::string& decision : fit.decisions) json.String(decision);
    json.EndArray().EndObject();
  }
  json.EndArray().Key("others").BeginArray().OnLines();
  for (const PackMisfit& misfit : detection.search.others)
    json.BeginObject().Key("pack").String(misfit.name).Key("reason").String(misfit.reason).EndObject();
  json.EndArray().EndObject();
  return std::move(json).Finish();
}

}  // namespace

int RunDetect(const MigrateArgs& args, const Console& console) {
  auto open = MakeSourceOptions(args.open);
  if (!open) return console.Fail(open.error());
  const Result<Detection> detection =
      DetectPacks({.source = args.source,
                   .open = *std::move(open),
                   .target = args.target,
                   .target_options = args.target_options,
                   .params = {.defines = args.defines, .config = args.config, .ranks = {}, .device_map = {}}});
  if (!detection) return console.Fail(detection.error());
  console.Warn(detection->warnings);
  if (!detection->config.empty() && args.config.empty())
    console.Say(fmt::format("note: parameters come from {}\n", EscapeText(detection->config)));
  const int written = console.Write(args.format == DataFormat::kJson ? DetectionJson(*detection)
                                                                     : DetectionText(*detection, console.out()));
  if (written != 0) return written;
  if (!detection->search.fitting.empty()) return 0;
  return console.Fail(
      {ErrorCode::kMismatch,
       fmt::format("no installed pack {} {}", args.target.empty() ? "fits" : "binds", EscapeText(args.source))});
}

}  // namespace ckmap
