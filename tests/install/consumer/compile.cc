// compile FILE.ckmap PACKS
#include <cstdio>

#include <ckmap/compiler.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const ckmap::CompileResult result = ckmap::Compile(argv[1], {.pack_path = {argv[2]}, .memory_files = {}, .defines = {}});
  for (const ckmap::Diagnostic& diagnostic : result.diagnostics) std::printf("%s\n", diagnostic.message.c_str());
  std::printf("%s\n", result.plan ? "compiled" : "mistakes");
  return result.plan ? 0 : 1;
}
