// Mistakes whose inputs are too large, or no text, for a file of cases.
#include <doctest/doctest.h>

#include <string>

#include "compiler/diag/diagnostic.h"
#include "compiler/syntax/parser.h"

namespace ckmap {
namespace {

std::vector<Diagnostic> ParseText(std::string text) {
  SourceMap sources;
  const FileId id = sources.Add("a.ckmap", std::move(text));
  DiagnosticSink sink;
  Parse(sources.file(id), id, sink);
  return sink.Sorted();
}

bool Has(const std::vector<Diagnostic>& diagnostics, DiagnosticKind kind) {
  for (const Diagnostic& diagnostic : diagnostics) {
    if (diagnostic.kind == kind) return true;
  }
  return false;
}

TEST_CASE("a file that is no UTF-8 is refused with the place") {
  const auto diagnostics = ParseText("ckmap 1;\nrename a -> \xff\xfe;\n");
  REQUIRE(Has(diagnostics, DiagnosticKind::kNotText));
}

TEST_CASE("a file beyond the limit is refused before it is read") {
  CHECK(Has(ParseText("ckmap 1;\n" + std::string(9 << 20, '#')), DiagnosticKind::kFileTooLarge));
  std::string tokens = "ckmap 1;\n";
  for (int i = 0; i < 600'000; ++i) tokens += ";";
  CHECK(Has(ParseText(tokens), DiagnosticKind::kFileTooLarge));
}

TEST_CASE("of very many mistakes the first hundred are told") {
  std::string text = "ckmap 1;\n";
  for (int i = 0; i < 150; ++i) text += "rename a b;\n";
  const auto diagnostics = ParseText(text);
  CHECK(diagnostics.size() == 101);
  CHECK(Has(diagnostics, DiagnosticKind::kTooManyErrors));
}

TEST_CASE("nesting and long lines take bounded time and memory") {
  std::string deep = "ckmap 1;\nlet x = ";
  deep += std::string(100'000, '(') + "1" + std::string(100'000, ')') + ";\n";
  CHECK(Has(ParseText(deep), DiagnosticKind::kNestingTooDeep));
  CHECK_FALSE(ParseText("ckmap 1;\nrename " + std::string(1'000'000, 'a') + " -> b\n").empty());
}

}  // namespace
}  // namespace ckmap
