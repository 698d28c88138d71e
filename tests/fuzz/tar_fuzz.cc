// Random bytes as a file of torch 0.1.1: a tar of pickles and storages.
#include "runtime/formats/torch/torch.h"
#include "tests/fuzz/fuzz_file.h"
#include "tests/support/open_path.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ckmap::ReadWhatOpened(ckmap::OpenPath(ckmap::OpenTorchTar, ckmap::FuzzFile(data, size), {}));
  return 0;
}
