#include <cstdlib>

#include <unistd.h>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/testing/iota.h"
#include "compiler/testing/mutation.h"
#include "compiler/testing/suite.h"
#include "compiler/testing/test_report.h"
#include "runtime/base/file.h"

namespace ckmap {
namespace {

// What the tests of all files run with: -D and --config, where a test gives no value of its own.
Result<BindOptions> OptionsOf(const CompilerArgs& args) {
  BindOptions options;
  for (const std::string& define : args.defines) {
    const size_t equals = define.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error(ErrorCode::kUsage, fmt::format("-D {}: write name=value", define));
    options.defines[define.substr(0, equals)] = define.substr(equals + 1);
  }
  if (args.config.empty()) return options;
  CKMAP_ASSIGN_OR_RETURN(options.config_json, ReadTextFile(args.config));
  options.config_path = args.config;
  return options;
}

int RunTests(const CompilerArgs& args, const TestArgs& tests, const std::vector<Suite>& suites) {
  const Result<BindOptions> options = OptionsOf(args);
  if (!options) return PrintError(options.error());
  const CompileOptions compile{PackPath(args.includes), {}, {}, false};
  std::vector<FileTests> files;
  int exit = 0;
  size_t count = 0;
  bool untested = false;
  for (const Suite& suite : suites) {
    const size_t before = count;
    for (const SuiteFile& file : suite.files) {
      const CompileResult result = Compile(file.path, compile);
      if (!result.plan || args.format == "text") PrintDiagnostics(result, args);
      exit = std::max(exit, ExitCode(result));
      files.push_back({file.name, {}});
      for (const TestCase& test : result.tests) {
        if (!tests.filter.empty() && test.name.find(tests.filter) == std::string::npos) continue;
        const uint32_t line = result.sources.file(test.span.file).Locate(test.span.begin).line;
        files.back().tests.push_back({test.name, line, RunTest(*result.plan, test, *options)});
        ++count;
      }
    }
    if (count > before || exit != 0 || !tests.filter.empty()) continue;
    fmt::print(stderr, "ckmapc: error: {}: no tests\n", suite.name);
    untested = true;
  }
  if (exit != 0) return exit;
  if (count == 0 && !tests.filter.empty())
    fmt::print(stderr, "ckmapc: error: no tests whose name holds `{}`\n", tests.filter);
  if (count == 0) return static_cast<int>(ErrorCode::kMismatch);
  fmt::print(
      "{}", args.format == "json" ? RenderTestsJson(files) : RenderTests(files, {UseColor(args.color, STDOUT_FILENO)}));
  return untested || CountFailed(files) > 0 ? static_cast<int>(ErrorCode::kMismatch) : 0;
}

int Iota(const CompilerArgs& args, const TestArgs& tests, const std::vector<Suite>& suites) {
  if (tests.source.empty() != tests.target.empty())
    return PrintError(Error(ErrorCode::kUsage, "--source and --target go together"));
  Result<BindOptions> options = OptionsOf(args);
  if (!options) return PrintError(options.error());
  const IotaOptions iota{PackPath(args.includes), *std::move(options), tests.against, tests.source, tests.target};
  std::vector<FileTests> files;
  for (const Suite& suite : suites) {
    Result<std::vector<FileTests>> result = RunIota(suite, iota);
    if (!result) return PrintError(result.error());
    files.insert(files.end(), result->begin(), result->end());
  }
  fmt::print(
      "{}", args.format == "json" ? RenderTestsJson(files) : RenderTests(files, {UseColor(args.color, STDOUT_FILENO)}));
  return CountFailed(files) > 0 ? static_cast<int>(ErrorCode::kMismatch) : 0;
}

int Mutate(const CompilerArgs& args, const TestArgs& tests, const std::vector<Suite>& suites) {
  Result<BindOptions> options = OptionsOf(args);
  if (!options) return PrintError(options.error());
  const MutationOptions mutation{PackPath(args.includes), *std::move(options), tests.manifests};
  std::vector<MutationResult> results;
  bool low = false;
  for (const Suite& suite : suites) {
    for (const SuiteFile& file : suite.files) {
      const CompileResult compiled = Compile(file.path, {mutation.pack_path, {}, {}, false});
      if (compiled.plan) continue;
      PrintDiagnostics(compiled, args);
      return ExitCode(compiled);
    }
  }
  for (const Suite& suite : suites) {
    Result<MutationResult> result = RunMutations(suite, mutation);
    if (!result) return PrintError(result.error());
    low = low || result->score() < tests.min_score;
    results.push_back(*std::move(result));
  }
  fmt::print("{}", args.format == "json" ? RenderMutationsJson(results)
                                         : RenderMutations(results, {UseColor(args.color, STDOUT_FILENO)}));
  return low ? static_cast<int>(ErrorCode::kMismatch) : 0;
}

}  // namespace

int TestCommand(const CompilerArgs& args, const TestArgs& tests) {
  const LoadOptions load{PackPath(args.includes), {}};
  std::vector<std::string> names = args.files;
  if (tests.all) names = ListPacks(load);
  if (names.empty()) return PrintError(Error(ErrorCode::kUsage, "name a file or a pack, or give --all"));
  std::vector<Suite> suites;
  for (const std::string& name : names) {
    Result<Suite> suite = FindSuite(name, load);
    if (!suite) return PrintError(suite.error());
    suites.push_back(*std::move(suite));
  }
  if (tests.iota) return Iota(args, tests, suites);
  return tests.mutate ? Mutate(args, tests, suites) : RunTests(args, tests, suites);
}

}  // namespace ckmap
