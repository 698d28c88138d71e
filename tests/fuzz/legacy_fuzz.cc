// Random bytes as a file of torch before 1.6: pickles, and the storages behind them.
#include "runtime/formats/torch/torch.h"
#include "tests/fuzz/fuzz_file.h"
#include "tests/support/open_path.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ckmap::ReadWhatOpened(ckmap::OpenPath(ckmap::OpenTorchLegacy, ckmap::FuzzFile(data, size), {}));
  ckmap::ReadWhatOpened(
      ckmap::OpenPath(ckmap::OpenTorchLegacy, ckmap::FuzzFile(data, size), {.skip_unknown_objects = true}));
  return 0;
}
