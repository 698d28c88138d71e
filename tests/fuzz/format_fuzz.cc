// Random text through the formatter: what parses is laid out, says the same, and stays as it is the second time.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "compiler/format/format.h"
#include "compiler/syntax/ast_printer.h"
#include "compiler/syntax/parser.h"

namespace {

std::string TreeOf(const ckmap::SourceFile& file) {
  ckmap::DiagnosticSink sink;
  return ckmap::PrintAst(ckmap::Parse(file, {}, sink));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ckmap::SourceFile file("a.ckmap", std::string(reinterpret_cast<const char*>(data), size));
  ckmap::DiagnosticSink sink;
  const auto once = ckmap::Format(file, {}, sink);
  if (!once) return 0;
  const ckmap::SourceFile formatted("a.ckmap", *once);
  const auto twice = ckmap::Format(formatted, {}, sink);
  if (!twice || *twice != *once || TreeOf(file) != TreeOf(formatted)) std::abort();
  return 0;
}
