#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/formats/target_file.h"
#include "runtime/report/issues.h"
#include "runtime/report/load_check.h"

namespace ckmap {
namespace {

// Verdicts that report the same are shown once, under all their rules.
struct SharedIssues {
  std::vector<std::string> rules;
  std::vector<Issue> issues;
};

bool SameIssues(const std::vector<Issue>& a, const std::vector<Issue>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Issue& x, const Issue& y) {
    return x.code == y.code && x.severity == y.severity && x.tensor == y.tensor && x.message == y.message &&
           x.notes == y.notes && x.help == y.help;
  });
}

std::vector<SharedIssues> ByIssues(const std::vector<LoadVerdict>& verdicts) {
  std::vector<SharedIssues> shared;
  for (const LoadVerdict& verdict : verdicts) {
    if (verdict.issues.empty()) continue;
    const auto same = std::find_if(shared.begin(), shared.end(),
                                   [&](const SharedIssues& other) { return SameIssues(other.issues, verdict.issues); });
    if (same != shared.end())
      same->rules.push_back(verdict.rules);
    else
      shared.push_back({{verdict.rules}, verdict.issues});
  }
  return shared;
}

}  // namespace

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
    for (const auto& [rules, issues] : ByIssues(verdicts)) {
      console.Say(console.err().Bold(fmt::format("by the rules of {}:", fmt::join(rules, ", and of "))) + "\n");
      console.Say(RenderIssues(issues, {.style = console.err(), .all = args.all}) + "\n");
    }
  }
  const int written = console.Write(args.format == DataFormat::kJson ? LoadCheckJson(args.source, args.target, verdicts)
                                                                     : LoadCheckText(verdicts, console.out()));
  if (written != 0) return written;
  return verdicts.back().fits ? 0 : static_cast<int>(ErrorCode::kMismatch);
}

}  // namespace ckmap
