#include "compiler/testing/test_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

constexpr size_t kShownFailures = 10;  // of one test

size_t CountTests(const std::vector<FileTests>& files) {
  size_t count = 0;
  for (const FileTests& file : files) count += file.tests.size();
  return count;
}

size_t CountSkipped(const std::vector<FileTests>& files) {
  size_t count = 0;
  for (const FileTests& file : files) {
    count += static_cast<size_t>(std::count_if(file.tests.begin(), file.tests.end(),
                                               [](const auto& test) { return !test.result.skipped.empty(); }));
  }
  return count;
}

void RenderFailures(const TestResult& result, const Style& style, std::string& out) {
  for (size_t i = 0; i < std::min(result.failures.size(), kShownFailures); ++i) {
    const TestFailure& failure = result.failures[i];
    out += fmt::format("        {}\n", style.Bold(EscapeText(failure.message)));
    for (const std::string& note : failure.notes) out += fmt::format("          {}\n", EscapeText(note));
  }
  if (result.failures.size() > kShownFailures) {
    out += fmt::format("        and {}\n",
                       Plural(static_cast<int64_t>(result.failures.size() - kShownFailures), "more failure"));
  }
}

}  // namespace

size_t CountFailed(const std::vector<FileTests>& files) {
  size_t count = 0;
  for (const FileTests& file : files) {
    count += static_cast<size_t>(
        std::count_if(file.tests.begin(), file.tests.end(), [](const auto& test) { return !test.result.passed(); }));
  }
  return count;
}

std::string RenderTests(const std::vector<FileTests>& files, const Style& style) {
  std::string out;
  for (const FileTests& file : files) {
    if (file.tests.empty()) continue;
    out += style.Bold(EscapeText(file.file)) + "\n";
    for (const FileTests::Entry& test : file.tests) {
      if (!test.result.skipped.empty()) {
        out +=
            fmt::format("  {}  {}: {}\n", style.Yellow("skip"), EscapeText(test.name), EscapeText(test.result.skipped));
        continue;
      }
      if (test.result.passed()) {
        out += fmt::format("  {}    {}\n", style.Green("ok"), EscapeText(test.name));
        continue;
      }
      out += fmt::format("  {}  {}  {}\n", style.Red("FAIL"), EscapeText(test.name),
                         style.Dim(fmt::format("line {}", test.line)));
      RenderFailures(test.result, style, out);
    }
  }
  const auto failed = static_cast<int64_t>(CountFailed(files));
  const auto skipped = static_cast<int64_t>(CountSkipped(files));
  const auto all = static_cast<int64_t>(CountTests(files)) - skipped;
  const std::string rest = skipped == 0 ? "" : fmt::format(", {} skipped", skipped);
  if (failed == 0) return out + style.Green(fmt::format("{} passed{}\n", Plural(all, "test"), rest));
  return out + style.Red(fmt::format("{} of {} failed{}\n", failed, Plural(all, "test"), rest));
}

std::string RenderTestsJson(const std::vector<FileTests>& files) {
  const auto failed = static_cast<int64_t>(CountFailed(files));
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(failed == 0);
  const auto skipped = static_cast<int64_t>(CountSkipped(files));
  json.Key("passed").Int(static_cast<int64_t>(CountTests(files)) - failed - skipped).Key("failed").Int(failed);
  if (skipped > 0) json.Key("skipped").Int(skipped);
  json.Key("tests").BeginArray().OnLines();
  for (const FileTests& file : files) {
    for (const FileTests::Entry& test : file.tests) {
      json.BeginObject().Key("file").String(file.file).Key("line").Int(test.line).Key("name").String(test.name);
      json.Key("ok").Bool(test.result.passed());
      if (!test.result.skipped.empty()) json.Key("skipped").String(test.result.skipped);
      json.Key("failures").BeginArray();
      for (const TestFailure& failure : test.result.failures) {
        json.BeginObject()
            .Key("tensor")
            .String(failure.tensor)
            .Key("message")
            .String(failure.message)
            .Key("notes")
            .BeginArray();
        for (const std::string& note : failure.notes) json.String(note);
        json.EndArray().EndObject();
      }
      json.EndArray().EndObject();
    }
  }
  json.EndArray().EndObject();
  return std::move(json).Finish();
}

}  // namespace ckmap
