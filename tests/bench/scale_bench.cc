// Scale: compiles many rules, and binds many tensors against them, at 1x and 10x, so that growth shows. Each case
// runs in a process of its own and prints its seconds and peak memory.
//
//     scale_bench [RULES TENSORS]      without arguments: 1,000 and 10,000 rules; 100,000 and 1,000,000 tensors
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "compiler/compiler.h"
#include "compiler/diag/render_text.h"
#include "runtime/bind/bind.h"

namespace ckmap {
namespace {

double Since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

long PeakMiB() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

// Rules as people write them: a prefix with an index, a kind, brackets, some operations and conditions.
std::string Rules(int count) {
  std::string text = "ckmap 1;\nparam heads: int = 8;\n";
  for (int i = 0; i < count; ++i) {
    switch (i % 4) {
      case 0:
        text += fmt::format("\"model.layers.{{n:int}}.block.kind{}.weight\" -> \"net.blocks.{{n}}.part{}.w\";\n", i, i);
        break;
      case 1:
        text += fmt::format(
            "\"model.layers.{{n:int}}.block.kind{}.weight\" [O, I] | transpose() | transpose() <-> "
            "\"net.blocks.{{n}}.part{}.w\" [O, I];\n",
            i, i);
        break;
      case 2:
        text += fmt::format(
            "\"model.layers.{{n:int}}.block.kind{}.weight\" [8, _] | reshape(4, 2, 8) | reshape(8, 8) -> "
            "\"net.blocks.{{n}}.part{}.w\";\n",
            i, i);
        break;
      default:
        text += fmt::format(
            "\"model.layers.{{n:int}}.block.kind{}.weight\" -> \"net.blocks.{{n}}.part{}.w\" when heads > {};\n", i, i,
            i % 7);
    }
  }
  return text;
}

Manifest MakeManifest(int rules, int tensors, const char* format) {
  Manifest manifest;
  for (int i = 0; i < tensors; ++i) {
    TensorInfo info;
    info.name = fmt::format(fmt::runtime(format), i / rules, i % rules);
    info.dtype = DType::kF32;
    info.shape = {8, 8};
    manifest.Add(std::move(info));
  }
  return manifest;
}

CompileResult CompileRules(int rules) {
  CompileOptions options;
  options.memory_files["a.ckmap"] = Rules(rules);
  CompileResult result = Compile("a.ckmap", options);
  if (!result.plan)
    std::fprintf(stderr, "%s\n", RenderText(result.diagnostics, result.sources).substr(0, 2000).c_str());
  return result;
}

int CompileCase(int rules) {
  const auto begin = std::chrono::steady_clock::now();
  const CompileResult result = CompileRules(rules);
  std::printf("compile %7d rules:                   %6.3f s, peak memory %5ld MiB\n", rules, Since(begin), PeakMiB());
  return result.plan ? 0 : 1;
}

int BindCase(int rules, int tensors) {
  const CompileResult compiled = CompileRules(rules);
  if (!compiled.plan) return 1;
  const Plan plan = *compiled.plan;
  Manifest source = MakeManifest(rules, tensors, "model.layers.{}.block.kind{}.weight");
  Manifest target = MakeManifest(rules, tensors, "net.blocks.{}.part{}.w");
  const auto begin = std::chrono::steady_clock::now();
  const auto bound = Bind(plan, std::move(source), std::move(target), {});
  if (!bound || !bound->plan) {
    std::fprintf(stderr, "%s\n", bound ? bound->issues.front().message.c_str() : bound.error().message().c_str());
    return 1;
  }
  std::printf("bind    %7d rules, %8d tensors: %6.3f s, peak memory %5ld MiB\n", rules, tensors, Since(begin),
              PeakMiB());
  return 0;
}

// In a process of its own, so that its peak is its own.
template <typename Case>
int Apart(Case run) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const int code = run();
    std::fflush(stdout);
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int Main(int argc, char** argv) {
  if (argc > 2) {
    const int rules = std::atoi(argv[1]), tensors = std::atoi(argv[2]);
    return Apart([&] { return CompileCase(rules); }) + Apart([&] { return BindCase(rules, tensors); });
  }
  int failed = 0;
  for (const int rules : {1'000, 10'000}) failed += Apart([&] { return CompileCase(rules); });
  for (const int tensors : {100'000, 1'000'000}) failed += Apart([&] { return BindCase(10'000, tensors); });
  return failed;
}

}  // namespace
}  // namespace ckmap

int main(int argc, char** argv) { return ckmap::Main(argc, argv); }
