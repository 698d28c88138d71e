// Random rules and two random specs, parted by lines of dashes: compiled, bound, and cut for a rank. Whatever
// binds must tile its targets, which Bind itself proves. A fourth part is what small tensors of the source hold.
#include <cstddef>
#include <cstdint>
#include <string>

#include "compiler/compiler.h"
#include "plan.pb.h"
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
  const size_t third = second == std::string::npos ? second : text.find("\n---\n", second + 5);
  auto target = ckmap::ParseSpec(second == std::string::npos  ? source_text
                                 : third == std::string::npos ? text.substr(second + 5)
                                                              : text.substr(second + 5, third - second - 4));
  if (!source || !target) return 0;
  ckmap::BindOptions options;
  for (const auto& named : result.plan->proto().named_sources()) options.source.spaces.push_back(named.name());
  for (const ckmap::TensorInfo& tensor : source->tensors()) {
    const auto bytes = ckmap::NumBytes(tensor.shape, tensor.dtype);
    if (!ckmap::IsInteger(tensor.dtype) || !bytes || *bytes > ckmap::kMaxSmallTensor) continue;
    std::string held = third == std::string::npos ? std::string() : text.substr(third + 5);
    held.resize(static_cast<size_t>(*bytes));
    options.source.contents.emplace(tensor.name, held);
  }
  (void)ckmap::Bind(*result.plan, *source, *target, options);
  options.placement.ranks["tp"] = {1, 2};
  (void)ckmap::Bind(*result.plan, *std::move(source), *std::move(target), options);
  return 0;
}
