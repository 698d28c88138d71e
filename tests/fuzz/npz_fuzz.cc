// Random bytes as a file of numpy's: .npz and .npy.
#include "runtime/formats/numpy/npz.h"
#include "tests/fuzz/fuzz_file.h"
#include "tests/support/open_path.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ckmap::ReadWhatOpened(ckmap::OpenPath(ckmap::OpenNpz, ckmap::FuzzFile(data, size)));
  ckmap::ReadWhatOpened(ckmap::OpenPath(ckmap::OpenNpy, ckmap::FuzzFile(data, size)));
  return 0;
}
