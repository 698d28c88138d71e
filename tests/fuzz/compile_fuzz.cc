// Random text as a program of rules, forwards and backwards. What compiles must give a plan that loads again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "compiler/compiler.h"
#include "compiler/diag/render_json.h"
#include "compiler/diag/render_text.h"

namespace {

// The text up to a line of dashes is the file, the rest one that it may use.
void CompileText(const std::string& text, bool reverse) {
  ckmap::CompileOptions options;
  const size_t cut = text.find("\n---\n");
  options.memory_files["main.ckmap"] = text.substr(0, cut);
  options.memory_files["other.ckmap"] = cut == std::string::npos ? "ckmap 1;\n" : text.substr(cut + 5);
  options.reverse = reverse;
  const ckmap::CompileResult result = ckmap::Compile("main.ckmap", options);
  (void)ckmap::RenderText(result.diagnostics, result.sources);
  if (result.plan && !ckmap::ParsePlan(ckmap::SerializePlan(result.plan->proto()))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  CompileText(text, false);
  if (size > 0 && data[0] % 4 == 0) CompileText(text, true);
  return 0;
}
