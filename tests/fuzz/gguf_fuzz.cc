// Random bytes as a file of GGUF.
#include "runtime/formats/gguf.h"
#include "tests/fuzz/whole_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path = ckmap::FuzzFile(data, size);
  const auto checkpoint = ckmap::OpenGguf(path);
  if (checkpoint.ok()) ckmap::ReadWhole(**checkpoint);
  return 0;
}
