// Mistakes that users make in migrations of real networks. Measured: whether the cause is named, whether the edit that
// comes first mends it when it is pasted, and that nothing is mended to another conversion than the right one.
#include "runtime/causes/find_causes.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/fix/fix.h"
#include "plan.pb.h"
#include "runtime/bind/origin.h"
#include "runtime/report/causes.h"
#include "tests/causes/network.h"

namespace ckmap {
namespace {

constexpr const char* kFile = "mine.ckmap";

std::optional<Plan> CompileRules(const std::string& text) {
  CompileOptions options;
  options.pack_path = {std::string(CKMAP_SOURCE_DIR) + "/rules"};
  options.memory_files[kFile] = text;
  return Compile(kFile, options).plan;
}

using Conversion = std::map<std::string, std::string>;

// What becomes of which tensor, under their names before the mistake.
Conversion ConversionOf(const BoundPlan& bound, const Network& network) {
  Conversion conversion;
  for (const BoundTensor& tensor : bound.tensors) {
    conversion[network.target.true_name(tensor.target)] =
        OriginOf(tensor, [&](size_t source) { return network.source.true_name(source); });
  }
  return conversion;
}

struct Outcome {
  size_t errors = 0;
  bool named = false, mended = false, wrong = false, misleading = false, silent = false;
  bool has_edit = false, agrees = true;  // agrees: what the edit promised is what it leaves
  size_t lines = 0;
  std::string text;
};

// The edit made in the text, and in the options.
void Paste(const CauseEdit& edit, Network& network) {
  if (edit.option.starts_with("-D ")) {
    const size_t equals = edit.option.find('=');
    network.bind.defines[edit.option.substr(3, equals - 3)] = edit.option.substr(equals + 1);
  } else if (edit.option.starts_with("--root ")) {
    const std::string prefix = edit.option.substr(7) + ".";
    network.source.Rename(
        [&](const std::string& name) { return name.starts_with(prefix) ? name.substr(prefix.size()) : std::string(); });
  } else if (edit.option.starts_with("--strip-prefix ")) {
    const std::string prefix = edit.option.substr(15);
    network.source.Rename(
        [&](const std::string& name) { return name.starts_with(prefix) ? name.substr(prefix.size()) : name; });
  } else if (edit.option.starts_with("SOURCE")) {
    std::swap(network.source, network.target);
  } else if (!edit.option.empty()) {
    const size_t end = edit.option.find(' ');
    network.rules = fmt::format("ckmap 1;\nuse {};\n", edit.option.substr(0, end));
  } else {
    SourceMap sources;
    const auto fix = FixOf(edit, sources.file(sources.Add(kFile, network.rules)));
    REQUIRE(fix);
    network.rules = Applied(network.rules, *fix);
  }
}

Outcome Try(const Mistake& mistake) {
  Network network = ReadNetwork(mistake.pack, mistake.family, mistake.copy);
  Outcome outcome;
  const auto plan = CompileRules(network.rules);
  REQUIRE(plan);
  const auto bound = Bind(*plan, network.source.manifest(), network.target.manifest(), network.bind);
  REQUIRE(bound);
  REQUIRE_MESSAGE(bound->plan, mistake.name);
  Conversion right = ConversionOf(*bound->plan, network);

  const Manifest before = network.target.manifest();
  mistake.make(network);
  std::set<std::string> changed;
  for (size_t i = 0; i < network.target.manifest().size(); ++i) {
    const auto was = before.Find(network.target.true_name(i));
    const TensorInfo& now = network.target.manifest()[i];
    if (was && (before[*was].shape != now.shape || before[*was].dtype != now.dtype))
      changed.insert(network.target.true_name(i));
  }
  if (!mistake.right.empty()) {
    const auto right_plan = CompileRules(network.rules + mistake.right);
    REQUIRE_MESSAGE(right_plan, mistake.name);
    const auto right_bound = Bind(*right_plan, network.source.manifest(), network.target.manifest(), network.bind);
    REQUIRE(right_bound);
    for (const Issue& issue : right_bound->issues) CAPTURE(issue.message);
    REQUIRE_MESSAGE(right_bound->plan, (right_bound->issues.empty() ? mistake.name : right_bound->issues[0].message));
    right = ConversionOf(*right_bound->plan, network);
    changed.clear();
  }
  const auto wrong_plan = CompileRules(network.rules);
  CHECK_MESSAGE(wrong_plan, mistake.name);
  if (!wrong_plan) return outcome;
  const auto misfit = Bind(*wrong_plan, network.source.manifest(), network.target.manifest(), network.bind);
  REQUIRE(misfit);
  outcome.silent = misfit->plan.has_value();
  if (outcome.silent) return outcome;
  const Causes causes = FindCauses(*wrong_plan, network.source.manifest(), network.target.manifest(), network.bind,
                                   misfit->issues, {.source_has_roots = network.torch, .seconds = 30});
  outcome.errors = causes.errors;
  outcome.text = RenderMisfits(causes, misfit->issues, {}, false);
  outcome.lines = static_cast<size_t>(std::count(outcome.text.begin(), outcome.text.end(), '\n')) + 1;
  for (const Cause& cause : causes.causes) outcome.named = outcome.named || mistake.causes.contains(cause.kind);
  outcome.misleading = !causes.causes.empty() && !outcome.named;

  // Pasted one after the other, as far as there are any.
  size_t promised = causes.errors;
  for (const Cause& cause : causes.causes) {
    if (cause.edits.empty()) continue;
    outcome.has_edit = true;
    Paste(cause.edits[0], network);
    promised = cause.edits[0].errors_left;
  }
  if (!outcome.has_edit) return outcome;
  const auto mended_plan = CompileRules(network.rules);
  if (!mended_plan) {
    outcome.agrees = false;
    return outcome;
  }
  const auto mended = Bind(*mended_plan, network.source.manifest(), network.target.manifest(), network.bind);
  REQUIRE(mended);
  const auto left = static_cast<size_t>(std::count_if(mended->issues.begin(), mended->issues.end(), [](const Issue& i) {
    return i.severity == IssueSeverity::kError;
  }));
  const bool whole =
      std::all_of(causes.causes.begin(), causes.causes.end(), [](const Cause& cause) { return !cause.edits.empty(); });
  outcome.agrees = !whole || left == promised;
  if (!mended->plan) return outcome;
  outcome.mended = true;
  for (const auto& [name, origin] : ConversionOf(*mended->plan, network)) {
    const auto expected = right.find(name);
    if (changed.contains(name)) continue;  // the mistake made another tensor of it
    if (expected != right.end() && expected->second != origin) outcome.wrong = true;
  }
  return outcome;
}

TEST_CASE("causes of mistakes are named, and the edits that are shown mend them") {
  setenv("CKMAP_PACKS", CKMAP_BUILD_DIR "/share/ckmap/packs", 1);
  std::vector<Mistake> mistakes = MistakesOfNames();
  for (auto more : {MistakesOfRules(), MistakesOfNetworks(), MistakesOfParts()})
    mistakes.insert(mistakes.end(), more.begin(), more.end());
  REQUIRE(mistakes.size() >= 60);
  std::set<std::string> pairs;
  size_t named = 0, mendable = 0, mended = 0;
  std::vector<size_t> lines;
  const bool all = std::getenv("CKMAP_SHOW_CAUSES") != nullptr;
  for (const Mistake& mistake : mistakes) {
    CAPTURE(mistake.name);
    pairs.insert(mistake.family);
    const Outcome outcome = Try(mistake);
    named += outcome.named ? 1 : 0;
    mendable += mistake.mendable ? 1 : 0;
    mended += mistake.mendable && outcome.mended && !outcome.wrong ? 1 : 0;
    lines.push_back(outcome.lines);
    MESSAGE(fmt::format("{:18} {:52} {:4} errors  {:9} {:10} {:2} lines", mistake.family, mistake.name, outcome.errors,
                        outcome.silent       ? "silent"
                        : outcome.misleading ? "MISLEAD"
                        : outcome.named      ? "named"
                                             : "symptoms",
                        outcome.wrong      ? "WRONG"
                        : outcome.mended   ? "mended"
                        : outcome.has_edit ? (outcome.agrees ? "partly" : "DISAGREES")
                                           : "no edit",
                        outcome.lines));
    if (all) MESSAGE(outcome.text);
    CHECK_FALSE(outcome.silent);
    CHECK_FALSE(outcome.wrong);
    CHECK_FALSE(outcome.misleading);
    CHECK(outcome.agrees);
  }
  std::sort(lines.begin(), lines.end());
  MESSAGE(
      fmt::format("{} mistakes in {} pairs: named {}, mended {} of {} that rules or options can mend; median {} lines",
                  mistakes.size(), pairs.size(), named, mended, mendable, lines[lines.size() / 2]));
  CHECK(pairs.size() >= 12);
  CHECK(named * 100 >= mistakes.size() * 85);
  CHECK(mended * 100 >= mendable * 70);
  CHECK(lines[lines.size() / 2] <= 15);
}

}  // namespace
}  // namespace ckmap
