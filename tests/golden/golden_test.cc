#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "compiler/syntax/ast_printer.h"
#include "compiler/syntax/parser.h"
#include "tests/support/golden.h"

namespace ckmap::testing {
namespace {

const Section& FirstFile(const GoldenCase& golden_case) {
  const auto file = std::find_if(golden_case.sections.begin(), golden_case.sections.end(),
                                 [](const Section& section) { return section.kind() == "file"; });
  REQUIRE_MESSAGE(file != golden_case.sections.end(), golden_case.title, ": no file");
  return *file;
}

void RunParse(GoldenCase& golden_case) {
  const Section& input = FirstFile(golden_case);
  SourceMap sources;
  const FileId id = sources.Add(std::string(input.argument()), input.body);
  DiagnosticSink sink;
  const ast::File file = Parse(sources.file(id), id, sink);
  golden_case.Set("ast", PrintAst(file));
  golden_case.Set("diagnostics", RenderText(sink.Sorted(), sources));
}

TEST_CASE("parse") { RunGoldenFolder("parse", RunParse); }

void RunDiagnostics(GoldenCase& golden_case) {
  CompileOptions options;
  for (const Section& section : golden_case.sections) {
    if (section.kind() == "file") options.memory_files[std::string(section.argument())] = section.body;
    if (section.kind() == "packs") options.pack_path.emplace_back(section.argument());
  }
  const CompileResult result = Compile(std::string(FirstFile(golden_case).argument()), options);
  golden_case.Set("diagnostics", RenderText(result.diagnostics, result.sources));
  CHECK_MESSAGE(result.plan.has_value() == std::none_of(result.diagnostics.begin(), result.diagnostics.end(),
                                                        [](const Diagnostic& diagnostic) {
                                                          return Info(diagnostic.kind).severity == Severity::kError;
                                                        }),
                golden_case.title, ": there is a plan if and only if there is no error");
}

TEST_CASE("diagnostics") { RunGoldenFolder("diagnostics", RunDiagnostics); }

TEST_CASE("every diagnostic has a case") {
  std::string all;
  for (const std::string& path : GoldenFiles("diagnostics", ".txt")) all += ReadText(path);
  for (const DiagnosticKind kind : AllDiagnosticKinds()) {
    if (kind == DiagnosticKind::kNotText || kind == DiagnosticKind::kFileTooLarge ||
        kind == DiagnosticKind::kTooManyErrors) {
      continue;  // limits_test.cc: their inputs are no text to keep in a file
    }
    CHECK_MESSAGE(all.find(fmt::format("[{}]", FormatCode(kind))) != std::string::npos, FormatCode(kind), " (",
                  Info(kind).name, ") has no case in tests/golden/diagnostics");
  }
}

}  // namespace
}  // namespace ckmap::testing
