// `ckmap verify`.
#include <string>

#include <fmt/format.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/migrate/verify.h"
#include "runtime/report/issues.h"

namespace ckmap {
namespace {

// "55 tensors as written", or as much of it as was seen.
std::string Summary(const VerifyOutcome& outcome, bool with_source) {
  const std::string tensors = Plural(outcome.tensors, "tensor");
  std::string text = outcome.by_digest == outcome.tensors
                         ? fmt::format("{} as written", tensors)
                         : fmt::format("{} with the names, dtypes and shapes that were written; the receipt has no digests "
                                       "(apply --digest)",
                                       tensors);
  if (with_source) {
    text += fmt::format("; {} copied and equal to the source's, {} computed", FormatCount(outcome.by_source),
                        FormatCount(outcome.tensors - outcome.by_source));
  }
  return text + "\n";
}

Result<VerifyOutcome> Verify(const VerifyArgs& args, const Console& console) {
  VerifyRequest request;
  request.output = args.output;
  request.report = args.report;
  request.source = args.source;
  CKMAP_ASSIGN_OR_RETURN(request.open, MakeSourceOptions(args.open));
  ProgressBar bar(console, "verifying");
  request.progress = [&bar](int64_t done, int64_t total) { bar.Update(done, total); };
  return VerifyOutput(request);
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
    json.Key("issues");
    WriteIssues(json, outcome->issues);
    json.EndObject();
    written = console.Write(std::move(json).Finish());
  } else if (!console.quiet()) {
    written = console.Write(ok ? Summary(*outcome, !args.source.empty())
                               : fmt::format("{} differ\n", CountIssues(outcome->issues)));
  }
  return ok ? written : static_cast<int>(ErrorCode::kMismatch);
}

}  // namespace ckmap
