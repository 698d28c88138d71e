#include <fmt/format.h>

#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/formats/target_file.h"
#include "runtime/report/issues.h"
#include "runtime/report/load_check.h"

namespace ckmap {

int RunLoadCheck(const LoadCheckArgs& args, const Console& console) {
  const auto options = MakeSourceOptions(args.open);
  if (!options) return console.Fail(options.error());
  const auto source = OpenCheckedSource(args.source, *options);
  if (!source) return console.Fail(source.error());
  console.Warn((*source)->warnings());
  const auto target = ReadTargetFile(args.target, args.target_options);
  if (!target) return console.Fail(target.error());
  std::vector<LoadVerdict> verdicts = CheckLoad((*source)->manifest(), target->manifest);
  if (!target->spec) {
    CheckNesting((*source)->manifest(), NestingOf(**source).get(), target->manifest, target->nesting.get(), verdicts);
  }

  if (args.format == DataFormat::kText) {
    for (const LoadVerdict& verdict : verdicts) {
      if (verdict.issues.empty()) continue;
      console.Say(console.err().Bold(fmt::format("by the rules of {}:", verdict.rules)) + "\n");
      console.Say(RenderIssues(verdict.issues, {.style = console.err(), .all = args.all}) + "\n");
    }
  }
  const int written = console.Write(args.format == DataFormat::kJson ? LoadCheckJson(args.source, args.target, verdicts)
                                                                     : LoadCheckText(verdicts, console.out()));
  if (written != 0) return written;
  return verdicts.back().fits ? 0 : static_cast<int>(ErrorCode::kMismatch);
}

}  // namespace ckmap
