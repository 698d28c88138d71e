// Random rules and two random specs, parted by lines of dashes: compiled, bound, and cut for a rank. Whatever
// binds must tile its targets, which Bind itself proves.
#include <cstddef>
#include <cstdint>
#include <string>

#include "compiler/compiler.h"
#include "runtime/bind/bind.h"
#include "runtime/formats/spec/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t first = text.find("\n---\n");
  if (first == std::string::npos) return 0;
  const size_t second = text.find("\n---\n", first + 5);
  ckmap::CompileOptions compile;
  compile.memory_files["main.ckmap"] = text.substr(0, first + 1);
  compile.reverse = size > 0 && data[size - 1] == '~';
  const ckmap::CompileResult result = ckmap::Compile("main.ckmap", compile);
  if (!result.plan) return 0;
  const std::string source_text = text.substr(first + 5, second == std::string::npos ? second : second - first - 4);
  auto source = ckmap::ParseSpec(source_text);
  auto target = ckmap::ParseSpec(second == std::string::npos ? source_text : text.substr(second + 5));
  if (!source || !target) return 0;
  ckmap::BindOptions options;
  options.placement.ranks["tp"] = {1, 2};
  (void)ckmap::Bind(*result.plan, *source, *target, {});
  (void)ckmap::Bind(*result.plan, *std::move(source), *std::move(target), options);
  return 0;
}
