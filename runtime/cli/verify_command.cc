// `ckmap verify`.
#include <ctime>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/migrate/card.h"
#include "runtime/migrate/verify.h"
#include "runtime/report/issues.h"

namespace ckmap {
namespace {

Result<VerifyOutcome> Verify(const VerifyArgs& args, const Console& console) {
  VerifyRequest request;
  request.output = args.output;
  request.report = args.report;
  request.source = args.source;
  request.named_sources = args.named_sources;
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

std::string Today() {
  const std::time_t now = std::time(nullptr);
  std::tm day{};
  ::gmtime_r(&now, &day);
  return fmt::format("{:04}-{:02}-{:02}", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday);
}

// After a verification that found nothing.
int PrintCard(const VerifyArgs& args, const VerifyOutcome& outcome, const Console& console) {
  if (outcome.recomputed != outcome.tensors) {
    return console.Fail(
        {ErrorCode::kUsage, fmt::format("--card: {} of {} were made again from the source: give --plan and --source",
                                        outcome.recomputed, Plural(outcome.tensors, "tensor"))});
  }
  std::string command = fmt::format("ckmap verify {} --plan {} --source {}", args.output, args.plan, args.source);
  if (!args.config.empty()) command += " --config " + args.config;
  for (const auto& [name, value] : args.defines) command += fmt::format(" -D {}={}", name, value);
  if (!args.against.empty()) command += " --against " + args.against;
  const Result<std::string> card = MakeVerificationCard({.network = args.card,
                                                         .source_network = args.card_source,
                                                         .target_network = args.card_target,
                                                         .output = args.output,
                                                         .reference = args.against,
                                                         .config = args.config,
                                                         .defines = args.defines,
                                                         .date = Today(),
                                                         .command = command});
  return card ? console.Write(*card) : console.Fail(card.error());
}

}  // namespace

int RunVerify(const VerifyArgs& args, const Console& console) {
  const auto outcome = Verify(args, console);
  if (!outcome) return console.Fail(outcome.error());
  console.SayAlways(RenderIssues(outcome->issues, {.style = console.err()}));
  const bool ok = outcome->issues.empty();
  if (ok && !args.card.empty()) return PrintCard(args, *outcome, console);
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
    written =
        console.Write(ok ? Summary(*outcome)
                         : fmt::format("{}: the output is not as the receipt says\n", CountIssues(outcome->issues)));
  }
  return ok ? written : static_cast<int>(ErrorCode::kMismatch);
}

}  // namespace ckmap
