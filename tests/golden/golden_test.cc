#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "compiler/diag/render_text.h"
#include "compiler/syntax/ast_printer.h"
#include "compiler/syntax/parser.h"
#include "tests/support/golden.h"
#ifdef CKMAP_HAS_COMPILER
#include "compiler/compiler.h"
#endif

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

#ifdef CKMAP_HAS_COMPILER
void RunDiagnostics(GoldenCase& golden_case) {
  CompileOptions options;
  for (const Section& section : golden_case.sections) {
    if (section.kind() == "file") options.memory_files[std::string(section.argument())] = section.body;
    if (section.kind() == "packs") options.pack_path.emplace_back(section.argument());
  }
  const CompileResult result = Compile(std::string(FirstFile(golden_case).argument()), options);
  golden_case.Set("diagnostics", RenderText(result.diagnostics, result.sources));
  CHECK_MESSAGE(result.plan.has_value() ==
                    std::none_of(result.diagnostics.begin(), result.diagnostics.end(),
                                 [](const Diagnostic& diagnostic) {
                                   return Info(diagnostic.kind).severity == Severity::kError;
                                 }),
                golden_case.title, ": there is a plan if and only if there is no error");
}
#else
void RunDiagnostics(GoldenCase& golden_case) {
  const Section& input = FirstFile(golden_case);
  SourceMap sources;
  const FileId id = sources.Add(std::string(input.argument()), input.body);
  DiagnosticSink sink;
  Parse(sources.file(id), id, sink);
  golden_case.Set("diagnostics", RenderText(sink.Sorted(), sources));
}
#endif

TEST_CASE("diagnostics") { RunGoldenFolder("diagnostics", RunDiagnostics); }

TEST_CASE("every diagnostic has a case") {
  std::string all;
  for (const std::string& path : GoldenFiles("diagnostics", ".txt")) all += ReadText(path);
  for (const DiagnosticKind kind : AllDiagnosticKinds()) {
#ifndef CKMAP_HAS_COMPILER
    const auto code = static_cast<uint16_t>(kind);
    if (code >= 200 && code != 950) continue;
#endif
    CHECK_MESSAGE(all.find(fmt::format("[{}]", FormatCode(kind))) != std::string::npos,
                  FormatCode(kind), " (", Info(kind).name, ") has no case in tests/golden/diagnostics");
  }
}

}  // namespace
}  // namespace ckmap::testing
