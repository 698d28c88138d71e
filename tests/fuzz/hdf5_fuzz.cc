// Random bytes as a file of HDF5, and Keras' archives of it.
#include "runtime/formats/hdf5/hdf5.h"
#include "tests/fuzz/fuzz_file.h"
#include "tests/support/open_path.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ckmap::ReadWhatOpened(ckmap::OpenPath(ckmap::OpenHdf5, ckmap::FuzzFile(data, size)));
  ckmap::ReadWhatOpened(ckmap::OpenPath(ckmap::OpenKeras, ckmap::FuzzFile(data, size)));
  return 0;
}
