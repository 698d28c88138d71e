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
  // MindSpore chooses by names in ways of its own, so all of the file is opened first.
  SourceOptions whole = *options;
  whole.selection = {};
  auto opened = OpenCheckedSource(args.source, whole);
  if (!opened) return console.Fail(opened.error());
  const MindSporeDict dict(**opened, args.source, options->selection);
  auto source = Select(*std::move(opened), options->selection);
  if (!source) return console.Fail(std::move(source).error().Context(args.source));
  console.Warn((*source)->warnings());
  const auto target = ReadTargetFile(args.target, args.target_options);
  if (!target) return console.Fail(target.error());
  std::vector<LoadVerdict> verdicts = CheckLoad(dict, (*source)->manifest(), target->manifest);
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
