// Random text as rules: tokens, syntax tree and its printed form.
#include <cstddef>
#include <cstdint>
#include <string>

#include "compiler/syntax/ast_printer.h"
#include "compiler/syntax/parser.h"
#include "compiler/syntax/tokens.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ckmap::SourceMap sources;
  const ckmap::FileId id = sources.Add("a.ckmap", std::string(reinterpret_cast<const char*>(data), size));
  ckmap::DiagnosticSink sink;
  const ckmap::ast::File file = ckmap::Parse(sources.file(id), id, sink);
  (void)ckmap::PrintAst(file);
  (void)ckmap::Tokenize(sources.file(id), id);
  (void)sink.Sorted();
  return 0;
}
