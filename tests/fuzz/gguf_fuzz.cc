// Random bytes as a file of GGUF.
#include "runtime/formats/gguf/gguf.h"
#include "tests/fuzz/fuzz_file.h"
#include "tests/support/open_path.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ckmap::ReadWhatOpened(ckmap::OpenPath(ckmap::OpenGguf, ckmap::FuzzFile(data, size)));
  return 0;
}
