// compile FILE.ckmap PACKS
#include <cstdio>

#include <ckmap/compiler.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto plan = ckmap::Compile(argv[1], {.packs = {argv[2]}});
  std::printf("%s\n", plan ? "compiled" : plan.error().message().c_str());
  const auto bad = ckmap::CompileText("ckmap 1;\nmigration t from pytorch to mindspore;\nrenam a -> b;\n");
  return plan && !bad && bad.error().issues().at(0).line == 3 ? 0 : 1;
}
