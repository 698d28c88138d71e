#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/diag/did_you_mean.h"
#include "compiler/explain/explain.h"
#include "runtime/base/file.h"
#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/bind/explain/name_story.h"
#include "runtime/formats/open.h"

namespace ckmap {
namespace {

int ExplainCode(const std::string& code) {
  if (const Explanation* explanation = FindExplanation(code)) {
    fmt::print("{}", RenderExplanation(*explanation));
    return 0;
  }
  std::vector<std::string> known;
  for (const Explanation& explanation : Explanations()) known.push_back(explanation.code);
  const std::string nearest = DidYouMean(code, known);
  return PrintError(
      Error(ErrorCode::kUsage, fmt::format("there is no code `{}`{}{}", code, nearest.empty() ? "" : "; ", nearest)));
}

// ---- a tensor --------------------------------------------------------------------------------------

void RenderEntry(const StoryEntry& entry, std::string& out) {
  out += "  " + EscapeText(entry.what);
  if (!entry.place.empty()) out += (entry.what.ends_with("by") ? " " : ": ") + EscapeText(entry.place);
  if (!entry.text.empty()) out += ": " + EscapeText(entry.text);
  out += "\n";
  std::string captures, ops;
  for (const auto& [name, value] : entry.captures)
    captures += fmt::format("{}{} = {}", captures.empty() ? "" : ", ", name, EscapeText(value));
  for (const std::string& op : entry.ops) ops += (ops.empty() ? "" : " | ") + op;
  const auto line = [&](std::string_view label, const std::string& text) {
    if (!text.empty()) out += fmt::format("    {:<11} {}\n", label, text);
  };
  line("captures:", captures);
  for (size_t i = 0; i < entry.sources.size(); ++i) line(i == 0 ? "from:" : "", EscapeText(entry.sources[i]));
  line("operations:", EscapeText(ops));
  for (size_t i = 0; i < entry.pieces.size(); ++i) line(i == 0 ? "pieces:" : "", EscapeText(entry.pieces[i]));
  for (const std::string& why : entry.why) out += "    " + EscapeText(why) + "\n";
}

std::string Render(const std::vector<NameStory>& stories) {
  std::string out;
  for (const NameStory& story : stories) {
    out += fmt::format("{}, in the {}\n", EscapeText(story.tensor), story.target ? "target" : "source");
    for (const StoryEntry& entry : story.entries) RenderEntry(entry, out);
    if (story.entries.empty()) out += "  no rule names it\n";
    if (!story.near.empty()) out += "rules that come near\n";
    for (const StoryEntry& entry : story.near) RenderEntry(entry, out);
  }
  return out;
}

void WriteEntries(JsonWriter& json, std::string_view key, const std::vector<StoryEntry>& entries) {
  const auto list = [&](std::string_view name, const std::vector<std::string>& texts) {
    json.Key(name).BeginArray();
    for (const std::string& text : texts) json.String(text);
    json.EndArray();
  };
  json.Key(key).BeginArray();
  for (const StoryEntry& entry : entries) {
    json.BeginObject().Key("what").String(entry.what).Key("place").String(entry.place).Key("text").String(entry.text);
    json.Key("captures").BeginObject();
    for (const auto& [name, value] : entry.captures) json.Key(name).String(value);
    json.EndObject();
    list("sources", entry.sources);
    list("ops", entry.ops);
    list("pieces", entry.pieces);
    list("why", entry.why);
    json.EndObject();
  }
  json.EndArray();
}

std::string RenderJsonStories(const std::vector<NameStory>& stories) {
  JsonWriter json;
  json.BeginArray().OnLines();
  for (const NameStory& story : stories) {
    json.BeginObject().Key("side").String(story.target ? "target" : "source").Key("tensor").String(story.tensor);
    WriteEntries(json, "entries", story.entries);
    WriteEntries(json, "near", story.near);
    json.EndObject();
  }
  json.EndArray();
  return std::move(json).Finish();
}

// A `.ckplan` as it is; rules and packs are compiled.
Result<Plan> PlanOf(const std::string& what, const CompilerArgs& args, int& exit) {
  if (what.ends_with(".ckplan")) return LoadPlan(what);
  const std::vector<std::string> pack_path = PackPath(args.includes);
  CompileResult result = Compile(ResolveFile(what, pack_path), {pack_path, {}, {}, args.reverse});
  if (result.plan) return *std::move(result.plan);
  PrintDiagnostics(result, args);
  exit = ExitCode(result);
  return Error(ErrorCode::kMismatch, "");
}

int ExplainTensor(const CompilerArgs& args, const ExplainArgs& explain) {
  if (explain.source.empty() != explain.target.empty())
    return PrintError(Error(ErrorCode::kUsage, "--source and --target go together"));
  StoryOptions options;
  for (const std::string& define : args.defines) {
    const size_t equals = define.find('=');
    if (equals == std::string::npos || equals == 0)
      return PrintError(Error(ErrorCode::kUsage, fmt::format("-D {}: write name=value", define)));
    options.bind.defines[define.substr(0, equals)] = define.substr(equals + 1);
  }
  if (!args.config.empty()) {
    Result<std::string> config = ReadTextFile(args.config);
    if (!config) return PrintError(config.error());
    options.bind.config_json = *std::move(config);
    options.bind.config_path = args.config;
  }
  int exit = 0;
  const Result<Plan> plan = PlanOf(explain.what[0], args, exit);
  if (!plan) return exit != 0 ? exit : PrintError(plan.error());
  if (!explain.source.empty()) {
    Result<Manifest> source = ReadSource(explain.source, explain.files.source),
                     target = ReadTarget(explain.target, explain.files.target);
    if (!source) return PrintError(source.error());
    if (!target) return PrintError(target.error());
    options.source = *std::move(source);
    options.target = *std::move(target);
  }
  const auto stories = TellStories(*plan, explain.what[1], options);
  if (!stories) return PrintError(stories.error());
  fmt::print("{}", args.format == "json" ? RenderJsonStories(*stories) : Render(*stories));
  return 0;
}

}  // namespace

int ExplainCommand(const CompilerArgs& args, const ExplainArgs& explain) {
  return explain.what.size() == 1 ? ExplainCode(explain.what[0]) : ExplainTensor(args, explain);
}

}  // namespace ckmap
