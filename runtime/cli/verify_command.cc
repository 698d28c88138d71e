// `ckmap verify`.
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/migrate/verify.h"
#include "runtime/report/issues.h"

namespace ckmap {
namespace {

Result<VerifyOutcome> Verify(const VerifyArgs& args, const Console& console) {
  VerifyRequest request;
  request.output = args.output;
  request.report = args.report;
  request.source = args.source;
  request.plan = args.plan;
  request.target = args.target;
  request.params.defines = args.defines;
  request.params.config = args.config;
  CKMAP_ASSIGN_OR_RETURN(request.open, MakeSourceOptions(args.open));
  ProgressBar bar(console, "verifying");
  request.progress = [&bar](int64_t done, int64_t total) { bar.Update(done, total); };
  return VerifyOutput(request);
}

std::string Summary(const VerifyOutcome& outcome) {
  std::string text = fmt::format("{} as the receipt says\n", Plural(outcome.tensors, "tensor"));
  for (const std::string& line : outcome.proved) text += fmt::format("  proved:     {}\n", line);
  for (const std::string& line : outcome.unproved) text += fmt::format("  not proved: {}\n", line);
  return text;
}

void WriteLines(JsonWriter& json, const std::vector<std::string>& lines) {
  json.BeginArray();
  for (const std::string& line : lines) json.String(line);
  json.EndArray();
}

}  // namespace

int RunVerify(const VerifyArgs& args, const Console& console) {
  const auto outcome = Verify(args, console);
  if (!outcome) return console.Fail(outcome.error());
  console.SayAlways(RenderIssues(outcome->issues, {.style = console.err()}));
  const bool ok = outcome->issues.empty();
  int written = 0;
  if (args.format == DataFormat::kJson) {
    JsonWriter json;
    json.BeginObject().OnLines().Key("ok").Bool(ok);
    json.Key("tensors").Int(outcome->tensors);
    json.Key("by_digest").Int(outcome->by_digest);
    json.Key("by_source").Int(outcome->by_source);
    json.Key("recomputed").Int(outcome->recomputed);
    json.Key("proved");
    WriteLines(json, ok ? outcome->proved : std::vector<std::string>());
    json.Key("not_proved");
    WriteLines(json, outcome->unproved);
    json.Key("issues");
    WriteIssues(json, outcome->issues);
    json.EndObject();
    written = console.Write(std::move(json).Finish());
  } else if (!console.quiet()) {
    written = console.Write(ok ? Summary(*outcome) : fmt::format("{} differ\n", CountIssues(outcome->issues)));
  }
  return ok ? written : static_cast<int>(ErrorCode::kMismatch);
}

}  // namespace ckmap
